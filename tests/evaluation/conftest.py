"""Benchmarks are tried where the extra that runs them is installed: sdlab[benchmarks]."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("lm_eval") else ["test_lm_eval.py"]
