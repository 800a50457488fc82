"""Near names: manuals of appliances called K2, K2 Pro, K20 and so on, alike but for their names and figures."""

from itertools import product

from tests.bench.retrieval.models import Document, LabelledSet, Question, choose, draw, slug

__all__ = ["QUESTIONS", "make_near_names"]

_LETTERS = {"K": "kettle", "T": "toaster", "V": "vacuum cleaner", "M": "coffee machine", "F": "fan"}
_NUMBERS = ("2", "20", "5", "50")
_EDITIONS = ("", " Pro", " Max", " Mini")
QUESTIONS = (
    "How long is the warranty of the {name}?",
    "What does the {name} weigh?",
    "How loud is the {name}?",
    "Which descaler or cleaner does the {name} need?",
    "What does the {name} cost?",
    "{name} warranty",
)
_TEXTS = (
    "Thank you for buying this {kind}. It takes {watts} watts at 230 volts and weighs {weight} grams. Keep the cord "
    "away from hot surfaces, and unplug the {kind} before you clean it.",
    "The {kind} is covered for {months} months from the day of purchase. Keep the receipt: without it no repair is "
    "free. A new one costs {price} euros, spare parts are sold for ten years.",
    "In use it reaches {decibels} decibels. Clean it every {days} days with cleaner number {cleaner}; nothing else may "
    "be used. Rinse it twice and let it dry for an hour.",
)


def make_near_names() -> LabelledSet:
    """Write a manual for each; the body says what kind of thing it is, and only the title its name, as manuals do."""
    documents: list[Document] = []
    questions: list[Question] = []
    for (letter, kind), number, edition in product(_LETTERS.items(), _NUMBERS, _EDITIONS):
        name = f"{letter}{number}{edition}"
        id = slug(name)
        figures = {
            "kind": kind,
            "watts": 400 + 50 * draw(f"{name} watts", 40),
            "weight": 600 + 10 * draw(f"{name} weight", 300),
            "months": 12 + 6 * draw(f"{name} months", 9),
            "price": 19 + draw(f"{name} price", 180),
            "decibels": 35 + draw(f"{name} decibels", 50),
            "days": 7 + draw(f"{name} days", 80),
            "cleaner": 100 + draw(f"{name} cleaner", 900),
        }
        text = "\n\n".join(part.format(**figures) for part in _TEXTS)
        documents.append(Document(id, f"{name} manual", f"{name}. {text}" if draw(name, 2) else text))
        for turn in range(3):
            question = choose(f"{name} {turn}", QUESTIONS[turn::3]).format(name=name)
            questions.append(Question(f"q-{id}-{turn}", question, [id]))
    return LabelledSet(documents, questions)
