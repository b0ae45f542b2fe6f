"""What Ptolemy promises of rows that it has acknowledged."""
