"""The public face: ``from sdlab import Lab, build_lab``."""

from backend.bootstrap import build_lab
from backend.lab import Lab

__all__ = ["Lab", "build_lab"]
