"""Who comes in, for how long, and what they may do."""
