"""Measurements of the lab: each module runs by itself and says whether its targets are met."""
