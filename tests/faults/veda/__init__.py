"""What Veda promises of packages and releases that it has acknowledged."""
