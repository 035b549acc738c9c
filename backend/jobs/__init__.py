"""Runs become work: the queue, its supervisor, and detached workers that write what they find."""
