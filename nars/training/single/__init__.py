"""One training, from a job to a record."""
