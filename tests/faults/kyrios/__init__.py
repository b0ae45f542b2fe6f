"""What Kyrios promises of runs and their outputs."""
