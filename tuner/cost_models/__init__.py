"""Models of how long configs take."""
