"""What a user takes home from a run: the adapter and its model card."""
