"""Latency of the user's own device: measured block by block, kept as a table, looked up as a cost."""
