"""Base models: where they come from, how they are loaded, adapted and estimated."""
