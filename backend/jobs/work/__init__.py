"""The work of each kind of run; kinds lists them, and loads torch."""
