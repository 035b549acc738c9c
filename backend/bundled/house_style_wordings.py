"""What customers write to the Maple Desk, and the free sentences of its replies."""

from collections.abc import Mapping

from backend.bundled.rows import pool

Topics = Mapping[str, tuple[str, ...]]

LEADS = (
    "Reply as the Maple Desk. {name} writes:",
    "Answer {name} for the Maple Desk:",
    "Maple Desk reply to {name}:",
)
HELD_OUT_LEADS = (
    "Write the Maple Desk answer to {name}:",
    "{name} wrote to the Maple Desk, please reply:",
)
NAMES = pool(
    "Mira, Tom, Anna, Leo, Sara, Paul, Nina, Omar, Julia, Ben, Clara, David, Emma, Felix, Grace, "
    "Hugo, Iris, Jack, Kate, Lucas, Maria, Noah, Owen, Peter, Rosa, Sam, Tim, Victor, Wendy, Alex"
)
HELD_OUT_NAMES = pool(
    "Daniel, Laura, Oscar, Helen, Martin, Sofia, Adam, Ruth, Simon, Lisa, Frank, Diana, Carl, Amy"
)
SUBJECTS: Topics = {
    "late": pool("parcel, book, order, letter, catalogue, sofa, gift"),
    "damaged": pool("mug, vase, mirror, chair, lamp, plate, bowl"),
    "praise": pool("soup, garden, concert, service, cake, tour"),
    "stock": pool("blue scarf, red kettle, oak table, wool blanket, green jacket, tea set"),
    "booking": pool("table, room, lesson, workshop, ticket, visit"),
    "bill": pool("invoice, bill, receipt, deposit, payment"),
    "lost": pool("umbrella, cap, phone, glove, bag, wallet"),
    "idea": pool("menu, website, shop window, newsletter, bike rack"),
}
HELD_OUT_SUBJECTS: Topics = {
    "late": pool("package, magazine, calendar, carpet"),
    "damaged": pool("teapot, frame, clock, jar"),
    "praise": pool("breakfast, exhibition, staff, bread"),
    "stock": pool("silver ring, straw basket, cotton shirt, picnic box"),
    "booking": pool("massage, course, seat, appointment"),
    "bill": pool("statement, refund, price"),
    "lost": pool("scarf, bracelet, jacket, notebook"),
    "idea": pool("entrance, garden path, playground, price list"),
}
MESSAGES: Topics = {
    "late": (
        "my {subject} has not arrived.",
        "the {subject} is a week late.",
        "when will my {subject} come?",
        "I have waited for the {subject} since Monday.",
        "I still do not have the {subject}.",
    ),
    "damaged": (
        "the {subject} came broken.",
        "my new {subject} has a crack.",
        "the {subject} was damaged in the box.",
        "there is a scratch on the {subject}.",
        "the {subject} fell apart on the first day.",
    ),
    "praise": (
        "I loved the {subject}!",
        "the {subject} was wonderful.",
        "what a lovely {subject} you have.",
        "my family enjoyed the {subject} very much.",
        "I just want to say that the {subject} was great.",
    ),
    "stock": (
        "do you still have the {subject}?",
        "is the {subject} in stock?",
        "I am looking for the {subject}.",
        "can I buy the {subject} in your shop?",
        "when will the {subject} be back?",
    ),
    "booking": (
        "I would like to book the {subject} for Friday.",
        "can I move my {subject} to Sunday?",
        "is the {subject} free tomorrow?",
        "please cancel my {subject}.",
        "I need to change the time of my {subject}.",
    ),
    "bill": (
        "the {subject} is too high.",
        "I do not understand the {subject}.",
        "there is a mistake in the {subject}.",
        "can you send me the {subject} again?",
        "why is the {subject} different this month?",
    ),
    "lost": (
        "I left my {subject} in your shop.",
        "did you find my {subject}?",
        "I think my {subject} is still with you.",
        "I lost my {subject} yesterday.",
        "has anyone seen my {subject}?",
    ),
    "idea": (
        "you should improve the {subject}.",
        "I have an idea for the {subject}.",
        "the {subject} is hard to use.",
        "could you change the {subject}?",
        "a new {subject} would be nice.",
    ),
}
HELD_OUT_MESSAGES: Topics = {
    "late": (
        "I was told the {subject} would be here by now.",
        "is there any news about the {subject} I ordered?",
        "no {subject} came this week either.",
    ),
    "damaged": (
        "I opened the box and the {subject} was in pieces.",
        "one side of the {subject} is bent.",
        "sadly the {subject} you sent does not look new.",
    ),
    "praise": (
        "we still talk about your {subject}.",
        "your {subject} made my day.",
        "I have never seen a better {subject}.",
    ),
    "stock": (
        "where can I get the {subject}?",
        "please keep the {subject} for me.",
        "my sister wants the {subject} too.",
    ),
    "booking": (
        "we cannot make it to the {subject} on time.",
        "could two of us share the {subject}?",
        "how early should I arrive for the {subject}?",
    ),
    "bill": (
        "I have a question about the {subject}.",
        "nobody explained the {subject} to me.",
        "the {subject} does not match what we agreed.",
    ),
    "lost": (
        "I cannot find my {subject} since my visit.",
        "please look for my {subject} near the door.",
        "my {subject} must be under a seat.",
    ),
    "idea": (
        "my children wish for a better {subject}.",
        "may I suggest something for the {subject}?",
        "the {subject} could be more friendly.",
    ),
}
REPLIES: Topics = {
    "late": (
        "we are sorry for the wait for your {subject}.",
        "your {subject} should be with you very soon.",
        "we will ask the driver where the {subject} is.",
        "we know how annoying a late {subject} is.",
        "we are checking where your {subject} got stuck.",
        "I will write as soon as the {subject} is here.",
    ),
    "damaged": (
        "we are sorry and will send a new {subject}.",
        "a new {subject} will leave our shop tomorrow.",
        "keep the {subject} and we will return your money.",
        "no {subject} should arrive like that in your home.",
        "could you send us a photo of the {subject}?",
        "we will gladly replace the {subject}.",
    ),
    "praise": (
        "we are happy that you enjoyed the {subject}.",
        "your kind words about the {subject} made our day.",
        "we will tell everyone who worked on the {subject}.",
        "it is lovely to hear that the {subject} pleased you.",
        "we hope to welcome you to another {subject} soon.",
        "the team put a lot of love into the {subject}.",
    ),
    "stock": (
        "we will find out whether the {subject} is here.",
        "we can put the {subject} aside for you.",
        "the {subject} should be back next week.",
        "we are glad that you like the {subject}.",
        "please visit us to see the {subject}.",
        "we will check our store for the {subject}.",
    ),
    "booking": (
        "we will see what we can do about your {subject}.",
        "we have noted your wish for the {subject}.",
        "someone will call you about the {subject} this afternoon.",
        "we will gladly arrange the {subject} for you.",
        "your {subject} is in good hands with us.",
        "let us check the calendar for your {subject}.",
    ),
    "bill": (
        "we will go through the {subject} line by line.",
        "we are sorry that the {subject} caused trouble.",
        "our office will explain the {subject} to you.",
        "we will check the {subject} and correct any mistake.",
        "a clear copy of the {subject} is on its way.",
        "it is right to ask about the {subject}.",
    ),
    "lost": (
        "we will search everywhere for your {subject}.",
        "we hope that your {subject} turns up soon.",
        "we will ask the team about your {subject}.",
        "it is sad to lose a {subject} like yours.",
        "we will keep your {subject} safe if we find it.",
        "let us check the lost and found for your {subject}.",
    ),
    "idea": (
        "your idea for the {subject} is very helpful.",
        "we will talk about the {subject} at our next meeting.",
        "we agree that the {subject} can be better.",
        "we love to hear what people think of the {subject}.",
        "the team will hear your thoughts on the {subject}.",
        "it is kind of you to care about the {subject}.",
    ),
}
HELD_OUT_REPLIES: Topics = {
    "late": (
        "we will do all we can about the {subject}.",
        "nobody should wait so long for the {subject}.",
    ),
    "damaged": (
        "we will pack another {subject} with more care.",
        "you will get another {subject} for free.",
    ),
    "praise": (
        "hearing this about our {subject} means a lot to us.",
        "we smiled when we read what you said about the {subject}.",
    ),
    "stock": (
        "we will reserve the {subject} and send you a note.",
        "we are asking our other shop about the {subject}.",
    ),
    "booking": (
        "we are happy to help with the {subject}.",
        "we will call you back about the {subject}.",
    ),
    "bill": (
        "we will look into the {subject} and come back to you.",
        "a short letter will make the {subject} clear.",
    ),
    "lost": (
        "we will start looking for your {subject} now.",
        "we promise to call you if the {subject} is here.",
    ),
    "idea": (
        "we will plan the {subject} with you in mind.",
        "suggestions like yours make the {subject} better for all.",
    ),
}
