"""Several turns, by a rule: a FAQ's question after one shortly before it, with the nouns that both have as "it"."""

import re

from tests.bench.retrieval.faq import read_faq
from tests.bench.retrieval.models import LabelledSet, Question

__all__ = ["make_turns", "shorten"]

_REACH = 4  # questions back
_DULL = frozenset(
    "about after also another before between could does from have into make more most much other perl python debian "
    "should some than that their them there these they this those through using want what when where which while will "
    "with without would your work works".split()
)


def make_turns() -> LabelledSet:
    """Take the questions that name what one shortly before them on the page names; the corpus is that of the FAQs."""
    faq = read_faq()
    turns: list[Question] = []
    for index, after in enumerate(faq.questions):
        page = after.id.rpartition("-")[0]
        earlier = [one for one in faq.questions[max(index - _REACH, 0) : index] if one.id.rpartition("-")[0] == page]
        pairs = [(shorten(before.text, after.text), before) for before in reversed(earlier)]
        texts = [(text, before) for text, before in pairs if text is not None]
        if texts:
            # Of several the one that takes the most away from the question.
            text, before = min(texts, key=lambda pair: len(pair[0]))
            turns.append(Question(f"t-{after.id}", text, after.documents, [before.text]))
    return LabelledSet(faq.documents, turns)


def shorten(before: str, after: str) -> str | None:
    """Return the second question with the nouns that both have as "it"; None where there are none."""
    words = {word.rstrip("s") for word in re.findall(r"[a-z]{4,}", before.lower())} - _DULL
    both = {word for word in re.findall(r"[a-z]{4,}", after.lower()) if word.rstrip("s") in words and word not in _DULL}
    text = after
    for noun in sorted(both, key=len, reverse=True):
        # A noun has an article, a preposition or the question's end beside it; a verb hasn't.
        nouns = rf"(?:an?|the|my|your|another) {noun}|(?<=in ){noun}|(?<=of ){noun}|(?<=to ){noun}|(?<=from ){noun}"
        text = re.sub(rf"\b(?:{nouns}|{noun}(?=\?))\b(?![.(/])", "it", text, flags=re.IGNORECASE)
    return text if text != after and len(text.split()) > 3 else None
