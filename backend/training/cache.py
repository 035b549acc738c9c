"""Keys and values of what a model has read, with room for what it will write."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# Tokens of room at least, whenever there is none left.
_ROOM: Final = 32


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values [B, heads, L, size]: a view of tensors with room behind it.

    The layer that transformers has copies all of them for each token that is added.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.keys: Tensor
        self.values: Tensor
        self._rooms: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Adds tokens; returns all keys and values."""
        held = self.get_seq_length()
        if held == 0 or torch.is_grad_enabled():  # A backward pass needs what it saved unchanged.
            found: tuple[Tensor, Tensor] = super().update(key_states, value_states, *args, **kwargs)
            return found
        length = held + key_states.shape[2]
        if not self._has_room(length):
            self._rooms = (_with_room(self.keys, length), _with_room(self.values, length))
        assert self._rooms is not None
        for room, added in zip(self._rooms, (key_states, value_states), strict=True):
            room[:, :, held:length] = added
        self.keys, self.values = (room[:, :, :length] for room in self._rooms)
        return self.keys, self.values

    def _has_room(self, length: int) -> bool:
        """False, too, where rows were chosen or tokens taken off since: these are new tensors."""
        if self._rooms is None or self.keys.data_ptr() != self._rooms[0].data_ptr():
            return False
        return self._rooms[0].shape[2] >= length


def empty_cache(config: Any) -> DynamicCache:
    """A cache for a model of this configuration."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(each) is DynamicLayer else each for each in cache.layers]
    return cache


def sees_all(cache: DynamicCache) -> bool:
    """Whether every layer reads all that came before: no window that slides, no running state."""
    return all(type(layer) is RoomyLayer for layer in cache.layers)


def deal(cache: DynamicCache, places_BP: Tensor) -> None:
    """Makes of the one row that a cache holds B rows of P of its tokens each.

    Room is left behind them. The cache is one that sees all.
    """
    for layer in cache.layers:
        layer.keys, layer.values = (
            held[0, :, places_BP].transpose(0, 1) for held in (layer.keys, layer.values)
        )


def _with_room(held: Tensor, length: int) -> Tensor:
    batch, heads, _, size = held.shape
    room = held.new_empty(batch, heads, length + max(_ROOM, length // 2), size)
    room[:, :, : held.shape[2]] = held
    return room
