"""What customers write in tickets, by the team in charge."""

from collections.abc import Mapping

from backend.bundled.rows import Pools, pool

Complaints = Mapping[str, tuple[str, ...]]

LEADS = ("Label the support ticket", "Label this ticket", "Support ticket to label")
HELD_OUT_LEADS = ("Label this support ticket for us", "Give the label of the ticket")
OPENERS = ("", "", "", "hello, ", "hi there, ", "dear team, ", "good morning, ", "sorry, but ")
HELD_OUT_OPENERS = ("", "", "hey, ", "good evening, ", "dear support, ", "excuse me, ")
CLOSERS = ("", "", "", " Please help.", " Thanks.", " What now?")
HELD_OUT_CLOSERS = ("", "", " Any advice?", " Please reply soon.")

POOLS: Pools = {
    "product": pool(
        "desk lamp, kettle, backpack, office chair, blender, headphones, keyboard, toaster, "
        "tent, raincoat, bicycle pump, camera, teapot, carpet, mirror, sofa, drill, watch, "
        "printer, vacuum cleaner, garden hose, monitor, frying pan, sleeping bag"
    ),
    "day": pool("Monday, Tuesday, Thursday, Saturday"),
}
HELD_OUT_POOLS: Pools = {
    "product": pool(
        "coffee grinder, bookshelf, hair dryer, speaker, yoga mat, electric fan, rice cooker, "
        "suitcase, wall clock, lawn mower, router, hammock, microwave, guitar"
    ),
    "day": pool("Wednesday, Friday, Sunday"),
}

COMPLAINTS: Complaints = {
    "delivery": (
        "my order {order} has not arrived",
        "my order {order} from {day} still has not arrived",
        "where is order {order}?",
        "the {product} was promised for {day} and is not here",
        "the {product} from order {order} never came",
        "my parcel is five days late",
        "the driver left the {product} at the wrong house",
        "the tracking page for order {order} has not changed since {day}",
        "when will the {product} of order {order} be delivered?",
        "nobody rang the bell and my parcel went back on {day}",
        "order {order} went to my old address",
        "I am still waiting for the {product}",
    ),
    "billing": (
        "I was charged twice for order {order}",
        "the invoice for the {product} shows the wrong price",
        "I paid for the {product} two times",
        "my card was charged on {day} without a reason",
        "please send me the invoice for order {order}",
        "the discount is missing on the bill for the {product}",
        "the bill for the {product} in order {order} is too high",
        "my payment on {day} was declined",
        "I need a receipt for order {order}",
        "the tax on the invoice is wrong",
        "you took the money for order {order} twice on {day}",
        "why did the {product} of order {order} cost more than shown?",
    ),
    "returns": (
        "I want to send back the {product}",
        "I would like to return order {order}",
        "the {product} from order {order} is too small, I want to return it",
        "how do I return the {product}?",
        "please send a return label for order {order}",
        "I changed my mind about the {product} and want to give it back",
        "I received the wrong colour in order {order} and want an exchange",
        "can I exchange the {product} for a bigger one?",
        "how many days do I have to return something?",
        "I sent the {product} of order {order} back on {day}, did you get it?",
        "where is the return form?",
        "the {product} does not suit me, how can I send it back?",
    ),
    "repair": (
        "the {product} stopped working on {day}",
        "the {product} from order {order} is broken",
        "my {product} makes a strange noise",
        "the {product} does not turn on",
        "a part of the {product} in order {order} broke off",
        "can you fix my {product}?",
        "the {product} has a crack since {day}",
        "the thing I bought fell apart",
        "I need a spare part for the {product}",
        "the device from order {order} is defective",
        "the {product} of order {order} keeps failing",
        "my machine gets too hot and smells",
    ),
    "account": (
        "I cannot log in",
        "I forgot my password",
        "I cannot see order {order} in my account",
        "please change my email address",
        "my account has been locked since {day}",
        "the password reset mail never comes",
        "I want to delete my account",
        "my profile does not show the {product} I bought",
        "how do I change the name on my account?",
        "the site logs me out when I look at order {order}",
        "the {product} is missing from my wish list",
        "I have not been able to sign in since {day}",
    ),
}
HELD_OUT_COMPLAINTS: Complaints = {
    "delivery": (
        "I expected order {order} on {day} but got no parcel",
        "the courier has lost my {product}",
        "no sign of the {product} from order {order} in the post",
        "is order {order} on its way?",
        "my package was left in the rain on {day}",
        "how long does shipping of the {product} take?",
    ),
    "billing": (
        "order {order} appears two times on my bank statement",
        "you billed me the full price for the {product}",
        "the amount on the invoice of order {order} for the {product} is incorrect",
        "can I pay by card in three parts?",
        "a payment of {day} that I did not make shows on my card",
        "I lost the invoice of the {product}",
    ),
    "returns": (
        "I do not like the {product} and wish to return it",
        "may I swap the {product} from order {order} for another size?",
        "order {order} is not what I wanted, how can I send it back?",
        "what is your return policy?",
        "the return of the {product} was picked up on {day}, is it done?",
        "I need a box to send order {order} back",
    ),
    "repair": (
        "the {product} went dead on {day}",
        "the {product} that came with order {order} is damaged and will not run",
        "my {product} needs fixing",
        "the item in order {order} has a fault",
        "a screw came loose on the {product}",
        "it broke after one week of use",
    ),
    "account": (
        "the login page rejects my password",
        "order {order} is not listed in my profile",
        "how can I update my phone number in my account?",
        "I am locked out of my profile since {day}",
        "I cannot save the {product} to my account",
        "someone else has signed in to my account",
    ),
}
