"""What Exia promises of runs and models that it has acknowledged."""
