"""attention: the op and its templates."""
