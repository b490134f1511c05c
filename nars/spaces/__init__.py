"""What can be chosen: dimensions, spaces, architectures, recipes, candidates."""
