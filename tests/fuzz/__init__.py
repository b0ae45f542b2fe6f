"""Input that nobody would write, made by the hundred thousand: what reads it refuses it and never breaks."""
