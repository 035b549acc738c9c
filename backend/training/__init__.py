"""The training engine: one step for every method of the zoo, and the loop around it."""
