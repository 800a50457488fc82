"""Several turns, made by a rule: a FAQ's question after the one before it, with the noun that both have as "it"."""

import re
from itertools import pairwise

from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.models import LabelledSet, Question

__all__ = ["make_turns", "shorten"]

_DULL = frozenset(
    "about after also another before between could does from have into make more most much other perl python debian "
    "should some than that their them there these they this those through using want what when where which while will "
    "with without would your work works".split()
)


def make_turns() -> LabelledSet:
    """Take the pairs whose second question names what the first is about; the corpus is that of the FAQs."""
    faq = read_faq()
    turns: list[Question] = []
    for before, after in pairwise(faq.questions):
        if before.id.rpartition("-")[0] != after.id.rpartition("-")[0]:
            continue
        text = shorten(before.text, after.text)
        if text is not None:
            turns.append(Question(f"t-{after.id}", text, after.documents, [before.text]))
    return LabelledSet(faq.documents, turns)


def shorten(before: str, after: str) -> str | None:
    """Return the second question with what both name as "it"; None where they name nothing alike."""
    words = {word.rstrip("s") for word in re.findall(r"[a-z]{4,}", before.lower())} - _DULL
    both = [word for word in re.findall(r"[a-z]{4,}", after.lower()) if word.rstrip("s") in words and word not in _DULL]
    if not both:
        return None
    noun = max(both, key=len)
    article = r"(?:an?|the|my|your|another)"
    pattern = rf"\b(?:{article} {noun}|(?<=in ){noun}|(?<=of ){noun}|(?<=to ){noun}|(?<=from ){noun})\b(?![.(/])"
    text = re.sub(pattern, "it", after, flags=re.IGNORECASE)
    return text if text != after and len(text.split()) > 3 else None
