"""The report on Weights & Biases."""
