"""The documentation: written pages are what the code says, and all of it builds."""
