"""The report on a terminal, and progress."""
