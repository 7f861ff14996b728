"""One resource per file, no logic."""
