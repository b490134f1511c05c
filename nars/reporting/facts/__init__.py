"""What a report says, before it is shown: sections, sweeps, trust, words."""
