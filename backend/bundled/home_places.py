"""The commands that act on a room or a place."""

from backend.bundled.home_actions import Action, Wording

PLACE_ACTIONS = (
    Action(
        'thermostat.set(room="{room}", celsius={celsius})',
        Wording(
            (
                "set the {room} to {celsius} degrees",
                "keep the {room} at {celsius} degrees",
                "put the {room} thermostat at {celsius}",
                "bring the {room} to {celsius} degrees",
            ),
            (
                "the {room} should be {celsius} degrees",
                "I like {celsius} degrees in the {room}",
                "{celsius} degrees for the {room}",
            ),
        ),
        Wording(
            ("hold the {room} temperature at {celsius}", "make it {celsius} degrees in the {room}"),
            (
                "the {room} has to reach {celsius} degrees",
                "I feel best with the {room} at {celsius}",
            ),
        ),
    ),
    Action(
        'music.genre(room="{room}", genre="{genre}")',
        Wording(
            (
                "play some {genre} in the {room}",
                "put {genre} music on in the {room}",
                "let me hear {genre} in the {room}",
                "choose {genre} for the {room} speakers",
            ),
            (
                "I am in the mood for {genre} in the {room}",
                "{genre} music in the {room}",
                "the {room} needs a bit of {genre}",
            ),
        ),
        Wording(
            ("fill the {room} with {genre}", "send {genre} songs to the {room}"),
            ("some {genre} would suit the {room}", "my guests in the {room} want {genre}"),
        ),
    ),
    Action(
        'lamp.colour(room="{room}", colour="{colour}")',
        Wording(
            (
                "make the {room} lamp {colour}",
                "turn the {room} light {colour}",
                "change the lamp in the {room} to {colour}",
                "give the {room} a {colour} light",
            ),
            (
                "I want {colour} light in the {room}",
                "the {room} lamp should be {colour}",
                "{colour} for the lamp in the {room}",
            ),
        ),
        Wording(
            ("let the lamp of the {room} glow {colour}", "paint the {room} in {colour} light"),
            (
                "a {colour} glow would be nice in the {room}",
                "my {room} looks best in {colour} light",
            ),
        ),
    ),
    Action(
        'camera.snapshot(place="{place}")',
        Wording(
            (
                "take a picture of the {place}",
                "take a snapshot at the {place}",
                "show me a photo of the {place}",
                "get me a camera shot of the {place}",
                "photograph the {place}",
            ),
            (
                "I want to see who is at the {place}",
                "a photo of the {place}",
                "I need a picture from the {place} camera",
                "something moved at the {place}, take a picture",
                "what does the {place} look like now",
            ),
        ),
        Wording(
            ("capture an image of the {place}", "grab a still from the {place}"),
            ("let me look at the {place}", "there is a noise near the {place}, send me a photo"),
        ),
    ),
    Action(
        'robot.clean(room="{room}")',
        Wording(
            (
                "clean the {room}",
                "send the robot to the {room}",
                "have the robot clean the {room}",
                "vacuum the {room}",
                "let the robot sweep the {room}",
            ),
            (
                "the {room} is dusty",
                "there are crumbs in the {room}",
                "the {room} floor needs cleaning",
                "I spilled flour in the {room}",
                "the robot should do the {room}",
            ),
        ),
        Wording(
            ("tidy up the floor of the {room}", "get the dust out of the {room}"),
            ("the carpet in the {room} is dirty", "the dog left hair all over the {room}"),
        ),
    ),
    Action(
        'blind.tilt(room="{room}", degrees={degrees})',
        Wording(
            (
                "tilt the {room} blind by {degrees} degrees",
                "angle the blind in the {room} at {degrees} degrees",
                "set the slats in the {room} to {degrees} degrees",
                "turn the {room} slats to {degrees} degrees",
            ),
            (
                "the {room} blind should tilt {degrees} degrees",
                "the slats of the {room} blind at {degrees} degrees",
                "I want the {room} blind at an angle of {degrees}",
            ),
        ),
        Wording(
            (
                "slant the {room} blind {degrees} degrees",
                "lean the slats of the {room} to {degrees}",
            ),
            ("an angle of {degrees} degrees suits the blind in the {room}",),
        ),
    ),
)
