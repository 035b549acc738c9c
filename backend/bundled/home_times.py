"""The commands that carry a time, a duration or an amount."""

from backend.bundled.home_actions import Action, Wording

TIME_ACTIONS = (
    Action(
        'timer.set(minutes={minutes}, label="{label}")',
        Wording(
            (
                "set a {minutes} minute timer for the {label}",
                "count {minutes} minutes for the {label}",
                "give me a {label} timer of {minutes} minutes",
                "time the {label} for {minutes} minutes",
            ),
            (
                "the {label} needs a timer of {minutes} minutes",
                "I need a {label} timer, {minutes} minutes",
                "{minutes} minutes on the timer for {label}",
            ),
        ),
        Wording(
            (
                "make a timer called {label} for {minutes} minutes",
                "clock {minutes} minutes of {label}",
            ),
            (
                "a timer please: {label}, {minutes} minutes",
                "for {label} let {minutes} minutes pass",
            ),
        ),
    ),
    Action(
        'reminder.note(text="{text}", hour={hour})',
        Wording(
            (
                "remind me to {text} at {hour}:00",
                "remind me at {hour}:00 to {text}",
                "note that I must {text} at {hour}:00",
                "tell me to {text} at {hour}:00",
            ),
            (
                "I have to {text} at {hour}:00, remind me",
                "at {hour}:00 I should {text}",
                "I need a reminder to {text} at {hour}:00",
            ),
        ),
        Wording(
            ("nudge me at {hour}:00 to {text}", "make sure I {text} at {hour}:00"),
            (
                "when it is {hour}:00 I want to {text}",
                "do not let me forget to {text} at {hour}:00",
            ),
        ),
    ),
    Action(
        "oven.bake(celsius={oven_celsius}, minutes={minutes})",
        Wording(
            (
                "bake at {oven_celsius} degrees for {minutes} minutes",
                "set the oven to {oven_celsius} degrees for {minutes} minutes",
                "use the oven for {minutes} minutes at {oven_celsius} degrees",
                "heat the oven to {oven_celsius} for {minutes} minutes",
            ),
            (
                "the cake bakes {minutes} minutes at {oven_celsius} degrees",
                "I need the oven at {oven_celsius} degrees, {minutes} minutes",
                "oven at {oven_celsius} for {minutes} minutes",
            ),
        ),
        Wording(
            (
                "let the oven work for {minutes} minutes at {oven_celsius}",
                "bake the pie {minutes} minutes long at {oven_celsius} degrees",
            ),
            ("my bread wants {oven_celsius} degrees in the oven for {minutes} minutes",),
        ),
    ),
    Action(
        'sprinkler.water(zone="{zone}", minutes={minutes})',
        Wording(
            (
                "water the {zone} for {minutes} minutes",
                "give the {zone} water for {minutes} minutes",
                "sprinkle the {zone} for {minutes} minutes",
                "run the sprinkler on the {zone} for {minutes} minutes",
            ),
            (
                "the {zone} should get {minutes} minutes of water",
                "{minutes} minutes of water for the {zone}",
                "the {zone} looks dry, {minutes} minutes of water",
            ),
        ),
        Wording(
            (
                "let the {zone} drink for {minutes} minutes",
                "shower the {zone} {minutes} minutes long",
            ),
            ("the {zone} could use water, say {minutes} minutes",),
        ),
    ),
    Action(
        "alarm.set(hour={alarm_hour}, minute={alarm_minute})",
        Wording(
            (
                "wake me at {alarm_hour}:{alarm_minute}",
                "set an alarm for {alarm_hour}:{alarm_minute}",
                "ring at {alarm_hour}:{alarm_minute} tomorrow",
                "set my alarm to {alarm_hour}:{alarm_minute} on Monday",
                "wake us all at {alarm_hour}:{alarm_minute}",
            ),
            (
                "I get up at {alarm_hour}:{alarm_minute}",
                "the alarm should ring at {alarm_hour}:{alarm_minute}",
                "an alarm at {alarm_hour}:{alarm_minute}",
                "I have an early bus, alarm at {alarm_hour}:{alarm_minute}",
            ),
        ),
        Wording(
            (
                "get me out of bed at {alarm_hour}:{alarm_minute}",
                "sound the alarm clock at {alarm_hour}:{alarm_minute} sharp",
            ),
            (
                "my day begins at {alarm_hour}:{alarm_minute}, wake me then",
                "do not let me sleep past {alarm_hour}:{alarm_minute}",
            ),
        ),
    ),
    Action(
        'coffee.brew(cups={cups}, style="{drink}")',
        Wording(
            (
                "make {cups} cups of {drink}",
                "brew {cups} cups of {drink}",
                "prepare {drink}, {cups} cups",
                "get the coffee machine to make {cups} cups of {drink}",
            ),
            (
                "we would like {cups} cups of {drink}",
                "{cups} cups of {drink} for us",
                "I could use {cups} cups of {drink}",
                "there are guests, {cups} cups of {drink}",
            ),
        ),
        Wording(
            ("pour {cups} cups of {drink}", "fix us {drink} coffee, {cups} cups in all"),
            (
                "my friends ordered {drink}, {cups} cups",
                "breakfast calls for {cups} cups of {drink}",
            ),
        ),
    ),
)
