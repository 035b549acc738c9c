"""The completions of a batch as they grow, and what each row is offered next."""

from __future__ import annotations

from collections.abc import Sequence

from backend.training.drafts import Draft, Guess, Guessing


class Writing:
    """The completions as they grow: rows of the batch, what each is offered, and which have ended.

    Rows that have ended are read no further, and leave the batch once they are half of it.
    """

    def __init__(
        self, drafts: list[Draft], starts: list[int], most: int, ends: frozenset[int]
    ) -> None:
        self.completions: list[list[int]] = [[] for _ in drafts]
        self._offers: list[list[Guess]] = [[] for _ in drafts]
        self._rows = list(range(len(drafts)))
        self._alive = [True] * len(drafts)
        self._drafts, self._starts = drafts, starts
        self._most, self._ends = most, ends
        self._guessing = Guessing()
        # Of each row, where its tokens are among all that were read: those that stay, then those
        # of the last pass, of which offered ones may be wrong.
        self.paths: list[list[int]] = [[] for _ in drafts]
        self._last: list[Sequence[int]] = [() for _ in drafts]
        self._count = 0

    @property
    def is_done(self) -> bool:
        return not any(self._alive[row] for row in self._rows)

    @property
    def offers(self) -> list[list[int]]:
        """The tokens that each row of the batch is offered."""
        return [[token for token, _ in offer] for offer in self._offers]

    def open(self) -> list[list[int]]:
        """What each row is offered as its first tokens."""
        self._offers = self._guessing.offers(self._drafts, [self._most - 1] * len(self._drafts))
        return self.offers

    def opened(self, paths: Sequence[Sequence[int]]) -> None:
        """The prompts were read, and what was offered: each row's tokens at these places."""
        self._last = [*paths]
        self._count = 1 + max(place for path in paths for place in path)

    def places(self) -> tuple[list[int], list[int]]:
        """Row and place in its completion of each token that is drawn now, offered ones first."""
        found = [
            (row, len(self.completions[row]) + ahead)
            for row, offer in zip(self._rows, self._offers, strict=True)
            if self._alive[row]
            for ahead in range(len(offer) + 1)
        ]
        return [row for row, _ in found], [place for _, place in found]

    def take(self, drawn: Sequence[int]) -> list[int]:
        """Keeps of the drawn tokens those that follow on right offers; returns how many were."""
        tokens = iter(drawn)
        return [
            self._take_row(row, [next(tokens) for _ in range(len(offer) + 1)], offer)
            if self._alive[row]
            else 0
            for row, offer in zip(self._rows, self._offers, strict=True)
        ]

    def _take_row(self, row: int, drawn: Sequence[int], offer: Sequence[Guess]) -> int:
        written, draft = self.completions[row], self._drafts[row]
        for place, token in enumerate(drawn):
            written.append(token)
            draft.see(token)
            self._alive[row] = token not in self._ends and len(written) < self._most
            is_right = place < len(offer) and token == offer[place][0]
            if not self._alive[row] or not is_right:
                break
        self._guessing.learn(offer, place + is_right)
        offered = [token for token, _ in offer[place + 1 :]]
        draft.miss([*zip(offered, drawn[place + 1 :], strict=False)])
        read = self._last[row]
        self.paths[row] += read[: len(read) - len(offer) + place]
        return place

    def leave(self) -> list[int] | None:
        """The places in the batch of the rows that stay, if some leave it now."""
        alive = [place for place, row in enumerate(self._rows) if self._alive[row]]
        if len(alive) * 2 > len(self._rows):
            return None
        self._rows = [self._rows[place] for place in alive]
        return alive

    def guess(self) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
        """Ids, a mask and positions, all [B, Q]: each row's last token, then what it is offered."""
        alive = [row for row in self._rows if self._alive[row]]
        rooms = [self._most - len(self.completions[row]) - 1 for row in alive]
        offers = self._guessing.offers([self._drafts[row] for row in alive], rooms)
        offered = dict(zip(alive, offers, strict=True))
        self._offers = [offered.get(row, []) for row in self._rows]
        width = 1 + max(map(len, self._offers))
        ids, real, positions = [], [], []
        for row in alive:
            self._last[row] = range(self._count, self._count + 1 + len(offered[row]))
            self._count += 1 + len(offered[row])
        for row, offer in zip(self._rows, self.offers, strict=True):
            written = self.completions[row]
            first, padding = self._starts[row] + len(written) - 1, width - 1 - len(offer)
            ids.append([written[-1], *offer, *[written[-1]] * padding])
            real.append([int(self._alive[row])] * (1 + len(offer)) + [0] * padding)
            positions.append([*range(first, first + width)])
        return ids, real, positions
