"""The worker: studies run for a server, and what comes of them brought there."""
