"""A model of the lab's as other libraries have it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from backend.models.language_model import LanguageModel
from backend.models.products import base_of, linear_layers


@contextlib.contextmanager
def plain(model: LanguageModel) -> Iterator[None]:
    """PEFT's and torch's own layers while the block runs, without the lab's products.

    The lab's stand in two places: a layer had them when it was loaded, and the adapter around it.
    """
    layers = list(linear_layers(model.network))
    kept = [
        (each, each.__dict__.pop("forward"))
        for each in (*layers, *map(base_of, layers))
        if "forward" in each.__dict__
    ]
    try:
        yield
    finally:
        for each, forward in kept:
            each.__dict__["forward"] = forward
