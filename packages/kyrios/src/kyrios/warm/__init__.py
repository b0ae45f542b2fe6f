"""A process that stands by for the units of rendered flows: a fork of it starts in the time of a few milliseconds."""
