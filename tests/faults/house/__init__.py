"""What the house promises of every file that it writes."""
