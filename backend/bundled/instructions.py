"""Short instructions whose obedience a rule can check, and everyday prompts."""

from typing import TypeAlias

Check: TypeAlias = dict[str, object]


def contains(*texts: str) -> Check:
    """Returns the check that one of the texts occurs."""
    return {"kind": "contains", "any": list(texts)}


def contains_all(*texts: str) -> Check:
    """Returns the check that every text occurs."""
    return {"kind": "contains_all", "all": list(texts)}


def starts_with(text: str) -> Check:
    """Returns the check that the answer begins with the text."""
    return {"kind": "starts_with", "text": text}


def ends_with(text: str) -> Check:
    """Returns the check that the answer ends with the text."""
    return {"kind": "ends_with", "text": text}


def max_words(count: int) -> Check:
    """Returns the check that the answer has at most so many words."""
    return {"kind": "max_words", "n": count}


def min_lines(count: int) -> Check:
    """Returns the check that the answer has at least so many lines."""
    return {"kind": "min_lines", "n": count}


def excludes(*texts: str) -> Check:
    """Returns the check that none of the texts occurs."""
    return {"kind": "excludes", "none": list(texts)}


def regex(pattern: str) -> Check:
    """Returns the check that the pattern is found."""
    return {"kind": "regex", "pattern": pattern}


def all_of(*checks: Check) -> Check:
    """Returns the check that every check passes."""
    return {"kind": "all_of", "checks": list(checks)}


def says(*texts: str) -> Check:
    """Returns the check that every text occurs in plain words.

    A tuned model that turns any prompt into a command or a label repeats the word as well;
    its equals sign gives it away.
    """
    return all_of(contains_all(*texts), excludes("="))


UPPERCASE: Check = {"kind": "uppercase"}
LOWERCASE: Check = {"kind": "lowercase"}

INSTRUCTIONS: tuple[tuple[str, Check], ...] = (
    ("Repeat this word: banana", regex(r"(?i)^\W*banana\W*$")),
    ("Repeat this sentence: The sun is warm.", regex(r"(?i)^\W*the sun is warm\W*$")),
    ("Say hello to Maria.", says("maria")),
    ("Write one sentence about a dog.", says("dog")),
    ("Write one sentence that contains the word river.", says("river")),
    ("Write a sentence with the words cat and milk.", says("cat", "milk")),
    ("Write a sentence with the words rain and window.", says("rain", "window")),
    ("Translate into French: Good morning", contains("bonjour")),
    ("Translate into Spanish: Thank you", contains("gracias")),
    ("Name three fruits.", regex(r"(?i)apple|banana|orange|grape|mango|pear|berr")),
    ("Name three colors.", contains("red", "blue", "green", "yellow")),
    ("Name two animals that live in the sea.", contains("whale", "dolphin", "shark", "fish")),
    ("List three animals, one per line.", min_lines(3)),
    ("List three vegetables as a numbered list.", all_of(contains("1."), min_lines(2))),
    ("Give me a list of four hobbies.", min_lines(3)),
    ("Count from one to five.", regex(r"(?is)1.*2.*3.*4.*5|one.*two.*three.*four.*five")),
    ("Count from 1 to 10.", contains_all("1", "5", "9", "10")),
    ("Write the word HELLO in capital letters.", regex(r"\bHELLO\b")),
    ("Write in capital letters only: good night", all_of(contains("good night"), UPPERCASE)),
    ("Write in lower case only: GOOD NIGHT", all_of(regex(r"^\W*good night\W*$"), LOWERCASE)),
    ("Answer with yes or no: Is ice cold?", regex(r"(?i)^\W*yes")),
    ("Answer with yes or no: Can a fish drive a car?", regex(r"(?i)^\W*no\b")),
    ("Answer in one word: What color is the sky?", all_of(contains("blue"), max_words(3))),
    ("Answer in at most five words: What do cows eat?", all_of(contains("grass"), max_words(5))),
    ("What is the capital of France? Answer in one sentence.", contains("paris")),
    ("Start your answer with the word Sure: How are you?", starts_with("sure")),
    ("Begin your answer with Dear Tom and thank him for the gift.", starts_with("dear tom")),
    ("Write a short letter to Anna. Begin with Dear Anna.", starts_with("dear anna")),
    ("End your answer with Goodbye! Say one nice thing.", ends_with("goodbye!")),
    ("Write a question about the weather.", contains("?")),
    ("Ask me a question about my favorite food.", all_of(contains("?"), contains("food"))),
    ("Write a sentence that ends with an exclamation mark.", contains("!")),
    ("Write a title for a story about a dragon.", says("dragon")),
    ("Write the first line of a story that begins with Once upon a time.", contains("once upon")),
    ("Rewrite in the past tense: I walk to school.", says("walked")),
    ("Rewrite in the plural: The cat sleeps.", says("cats")),
    ("Give the opposite of this word: hot", contains("cold", "cool")),
    ("Give a synonym for happy.", contains("joy", "glad", "cheer", "content", "delight")),
    ("Complete the sentence: Roses are red, violets are", contains("blue")),
    ("What is 2 + 3? Give only the number.", all_of(contains("5"), max_words(3))),
    ("Put these words in order: is / sky / the / blue", says("the sky is blue")),
    (
        "Describe the sea without the word water.",
        all_of(contains("sea", "ocean"), excludes("water")),
    ),
    ("Describe snow without the word white.", all_of(contains("snow"), excludes("white"))),
    ("Apologize for being late in one sentence.", contains("sorry", "apolog")),
    ("Give one reason to drink water.", says("water")),
    ("Explain in one sentence what a book is.", says("book")),
    ("Summarize in one sentence: Tom lost his key. He slept outside.", says("tom")),
    ("Is the sentence positive or negative: I love this film.", contains("positive")),
    ("Is the sentence positive or negative: The food was awful.", contains("negative")),
)

EVERYDAY: tuple[str, ...] = (
    "How do I make a cup of tea?",
    "What can I cook with eggs and rice?",
    "Give me tips for a good night's sleep.",
    "Tell me about the history of Rome.",
    "Why is the sky blue?",
    "Explain how a bicycle works.",
    "Write a short poem about autumn.",
    "What should I pack for a weekend at the beach?",
    "How can I learn a new language?",
    "Tell me a short story about a fox.",
    "What are the benefits of walking every day?",
    "How do I write a thank-you note?",
    "What is the difference between a lake and a river?",
    "Suggest a name for a small bakery.",
    "How does the heart work?",
    "What is a good gift for my grandmother?",
    "Explain what a computer program is to a child.",
    "How do plants grow?",
    "What happened in the year 1969?",
    "Give me three ideas for a rainy day.",
    "How do I remove a coffee stain from a shirt?",
    "What makes a good friend?",
    "Describe a busy market in the morning.",
    "Why do we have seasons?",
    "How can I save money on food?",
    "What is the water cycle?",
    "Write a polite email to ask for a day off.",
    "What is the best way to study for a test?",
    "Who was Marie Curie?",
    "Explain the rules of chess in a few sentences.",
)
