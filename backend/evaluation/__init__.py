"""What a model can do and what it forgot: scorers, probes, intervals, premise, forgetting."""
