"""The measuring child: correctness, timing, playoff."""
