"""Schema migrations, run by cache/sql.py."""
