"""What ``govlab`` does on the command line."""
