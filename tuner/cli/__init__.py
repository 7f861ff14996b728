"""The `tune` command, one file per command."""
