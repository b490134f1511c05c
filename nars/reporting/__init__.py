"""What people see: progress, tables, the final answer."""
