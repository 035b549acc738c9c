"""Support tickets and the label of each: the team in charge, the order number, the product.

All three fields follow from the text. A ticket without a number or a product says `none`.
"""

import random

from backend.bundled.rows import (
    HELD_OUT_ROWS,
    TRAINING_ROWS,
    Pools,
    Row,
    distinct_rows,
    draw_values,
    sentence,
)
from backend.bundled.ticket_wordings import (
    CLOSERS,
    COMPLAINTS,
    HELD_OUT_CLOSERS,
    HELD_OUT_COMPLAINTS,
    HELD_OUT_LEADS,
    HELD_OUT_OPENERS,
    HELD_OUT_POOLS,
    LEADS,
    OPENERS,
    POOLS,
    Complaints,
)

SLOTS = ("order", "product")
Texts = tuple[str, ...]


def training_rows() -> list[Row]:
    """Returns the training rows."""
    return distinct_rows("tickets-training", 21, TRAINING_ROWS, _draw_training)


def held_out_rows() -> list[Row]:
    """Returns the held-out rows: other wordings, products and order numbers than in training."""
    return distinct_rows("tickets-held-out", 22, HELD_OUT_ROWS, _draw_held_out)


def _draw_training(rng: random.Random, index: int) -> Row:
    # Order numbers of training are even and those of held-out rows are odd.
    order = str(2 * rng.randrange(500, 5000))
    return _row(rng, index, COMPLAINTS, (LEADS, OPENERS, CLOSERS), POOLS, order)


def _draw_held_out(rng: random.Random, index: int) -> Row:
    order = str(2 * rng.randrange(500, 5000) + 1)
    around = (HELD_OUT_LEADS, HELD_OUT_OPENERS, HELD_OUT_CLOSERS)
    return _row(rng, index, HELD_OUT_COMPLAINTS, around, HELD_OUT_POOLS, order)


def _row(
    rng: random.Random,
    index: int,
    complaints: Complaints,
    around: tuple[Texts, Texts, Texts],
    pools: Pools,
    order: str,
) -> Row:
    leads, openers, closers = around
    teams = sorted(complaints)
    team = teams[index % len(teams)]
    complaint = rng.choice(complaints[team])
    values = draw_values(rng, pools) | {"order": order}
    text = sentence(f"{rng.choice(openers)}{complaint.format(**values)}")
    stop = "" if text.endswith("?") else "."
    named = {slot: values[slot] if f"{{{slot}}}" in complaint else "none" for slot in SLOTS}
    label = f"team={team}; order={named['order']}; product={named['product']}"
    return {
        "id": "",
        "prompt": f"{rng.choice(leads)}: {text}{stop}{rng.choice(closers)}",
        "demonstration": label,
        "reference": label,
        "tags": [team],
    }
