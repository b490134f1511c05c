"""What architectures cost: multiply-adds, parameters, and constraints on them."""
