"""What is remembered: records, the store port and its implementations, the wire."""
