"""Methods that answer a search problem, behind one contract."""
