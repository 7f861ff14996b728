"""Where compile and measure tasks run."""
