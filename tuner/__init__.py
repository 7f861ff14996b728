"""Search and measurement; the use cases; the Python and CLI faces."""
