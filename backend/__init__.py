"""The parts behind every front end; backend.lab is the only door."""
