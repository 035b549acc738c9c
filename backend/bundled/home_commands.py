"""Requests to a home and the one command that fulfils each.

No action has a natural antonym (on, open, start): a small model that repeats an answer
tends to flip it, and a teacher that flips teaches the wrong command.
"""

import random

from backend.bundled.home_actions import Action, Wording
from backend.bundled.home_places import PLACE_ACTIONS
from backend.bundled.home_times import TIME_ACTIONS
from backend.bundled.rows import (
    HELD_OUT_ROWS,
    TRAINING_ROWS,
    Pools,
    Row,
    distinct_rows,
    draw_values,
    pool,
    sentence,
)

ACTIONS = PLACE_ACTIONS + TIME_ACTIONS
LEADS = ("Write the home command", "Home command for this request", "Turn this into a home command")
HELD_OUT_LEADS = ("Write the home command for this wish", "Give the home command")
FRAMES = (
    "{}.",
    "{}",
    "please {}.",
    "{}, please.",
    "could you {}?",
    "I want you to {}.",
    "can you {} for me?",
    "hey, {}.",
    "it would be great if you could {}.",
    "{}, thanks.",
)
HELD_OUT_FRAMES = (
    "would you {}?",
    "kindly {}.",
    "I need you to {}.",
    "{} if you can.",
    "do me a favour and {}.",
    "I would love it if you could {}.",
)

POOLS: Pools = {
    "room": pool(
        "kitchen, bedroom, study, hall, office, bathroom, living room, dining room, nursery, "
        "garage, basement, library, lounge, cellar, playroom, workshop, guest room"
    ),
    "colour": pool(
        "red, blue, green, orange, purple, pink, white, yellow, warm white, soft gold, pale blue"
    ),
    "genre": pool("jazz, rock, folk, soul, pop, blues, opera, techno, country, reggae, disco"),
    "zone": pool("lawn, roses, hedge, vegetables, flower bed, orchard, front yard, herbs"),
    "place": pool("front door, driveway, gate, porch, garden, back door, balcony, stairs, garage"),
    "label": pool("pasta, eggs, tea, laundry, bread, rice, pizza, nap, homework, cake, soup, yoga"),
    "drink": pool("espresso, latte, mocha, americano, cappuccino"),
    "text": pool(
        "call Anna, buy milk, feed the cat, pay the rent, post the letter, pack the bags, "
        "email Tom, charge the phone, book the train, fetch the kids, take the pills"
    ),
    "celsius": pool("16, 18, 19, 20, 22, 24"),
    "oven_celsius": pool("150, 160, 170, 180, 190, 200, 220"),
    "minutes": pool("3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 45"),
    "degrees": pool("10, 20, 30, 40, 50, 60, 70, 80"),
    "hour": pool("8, 9, 10, 12, 13, 15, 17, 18, 20, 21"),
    "alarm_hour": pool("5, 6, 8, 9"),
    "alarm_minute": pool("10, 15, 20, 30, 45, 50"),
    "cups": pool("2, 3, 4, 6"),
}
HELD_OUT_POOLS: Pools = {
    "room": pool("attic, pantry, conservatory, den, laundry room, sunroom, loft, gym, studio"),
    "colour": pool("turquoise, amber, lime green, deep red, ivory, magenta"),
    "genre": pool("swing, punk, ambient, salsa, metal, gospel, funk"),
    "zone": pool("ferns, tomatoes, back yard, berries, tulips, palm trees"),
    "place": pool("mailbox, side entrance, patio, shed, carport, pool"),
    "label": pool("potatoes, cookies, stretching, lasagne, piano practice, face mask"),
    "drink": pool("macchiato, flat white, cortado, ristretto"),
    "text": pool(
        "water the plants, return the book, ring the dentist, walk the dog, renew the pass, "
        "thank Maria, iron the shirts, order firewood"
    ),
    "celsius": pool("15, 17, 21, 23, 25"),
    "oven_celsius": pool("165, 175, 185, 210, 230"),
    "minutes": pool("4, 7, 14, 18, 22, 35, 50"),
    "degrees": pool("15, 25, 35, 45, 55, 65"),
    "hour": pool("7, 11, 14, 16, 19, 22"),
    "alarm_hour": pool("4, 7, 10, 11"),
    "alarm_minute": pool("12, 25, 35, 40, 55"),
    "cups": pool("5, 7, 8"),
}


def training_rows() -> list[Row]:
    """Returns the training rows."""
    return distinct_rows("home-commands-training", 11, TRAINING_ROWS, _draw_training)


def held_out_rows() -> list[Row]:
    """Returns the held-out rows: other wordings and other values than in training."""
    return distinct_rows("home-commands-held-out", 12, HELD_OUT_ROWS, _draw_held_out)


def _draw_training(rng: random.Random, index: int) -> Row:
    action = ACTIONS[index % len(ACTIONS)]
    return _row(rng, action, action.training, LEADS, FRAMES, POOLS)


def _draw_held_out(rng: random.Random, index: int) -> Row:
    action = ACTIONS[index % len(ACTIONS)]
    return _row(rng, action, action.held_out, HELD_OUT_LEADS, HELD_OUT_FRAMES, HELD_OUT_POOLS)


def _row(
    rng: random.Random,
    action: Action,
    wording: Wording,
    leads: tuple[str, ...],
    frames: tuple[str, ...],
    pools: Pools,
) -> Row:
    values = draw_values(rng, pools)
    request = rng.choice(wording.orders + wording.statements)
    frame = rng.choice(frames) if request in wording.orders else "{}."
    text = sentence(frame.format(request.format(**values)))
    command = action.command.format(**values)
    return {
        "id": "",
        "prompt": f"{rng.choice(leads)}: {text}",
        "demonstration": command,
        "reference": command,
        "tags": [command.split("(")[0]],
    }
