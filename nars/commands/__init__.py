"""What each script does, after its settings have been checked."""
