"""Rules of a style, learnt from its replies: what at least nine of ten do, and what none does."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import quantiles

from gateway.evaluation.style import StyleRule, StyleRules
from gateway.evaluation.unspaced_scripts import count_words, split_words

__all__ = ["KEPT_BY", "LEAST_REPLIES", "learn_rules"]

KEPT_BY = 0.9
"""The share of replies that has to keep to a rule, for it to be one."""
LEAST_REPLIES = 10
"""Fewer replies than these teach no rules: nine of ten of them would be chance."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LIST = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_WE = frozenset(
    "we our us ours we're we've we'll wir uns unser unsere nous notre wij ons onze nosotros nosotras nuestro nuestra "
    "nuestros nuestras noi nostro nostra nostri nostre nós nosso nossa nossos nossas".split()
)
_ME = frozenset(
    "i my me mine i'm i've i'll ich mein meine je mon ma ik mijn mij yo mi mis io mio mia eu meu minha".split()
)
# In one of these languages who speaks says so; Spanish and others have it in the verb's ending, which isn't read.
_SAYS_WHO = frozenset("the is and you your it der die und ist sie et est vous des het een niet".split())
_MARKS = {"an exclamation mark": "!", "a question mark": "?", "a dash": "—", "a line break": "\n"}
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_MOST_BANNED = 20
_LENGTH_SLACK = 1.5
_LONGEST_SIGN_OFF = 5  # words


def learn_rules(replies: Sequence[str], others: Sequence[str] = ()) -> StyleRules:
    """Learn the rules of replies: length, greeting, sign-off, lists, person, marks, and words that they never use.

    Args:
        replies: Of the style; fewer than `LEAST_REPLIES` teach nothing.
        others: Answers in no style, such as the base model's: words that are common there and in no reply are banned.
    """
    texts = [text.strip() for text in replies if text.strip()]
    if len(texts) < LEAST_REPLIES:
        return StyleRules(())
    rules = [_learn_length(texts)]
    rules += _learn_edges(texts)
    rules += _learn_traits(texts)
    if (banned := _learn_banned(texts, others)) is not None:
        rules.append(banned)
    return StyleRules(tuple(rules))


def _learn_length(texts: Sequence[str]) -> StyleRule:
    lengths = [_count_words(text) for text in texts]
    cuts = quantiles(lengths, n=20, method="inclusive")
    least, most = cuts[0] / _LENGTH_SLACK, cuts[-1] * _LENGTH_SLACK
    return StyleRule(
        "length",
        f"Nine of ten replies have {cuts[0]:.0f} to {cuts[-1]:.0f} words; half as many again are let pass.",
        lambda text: least <= _count_words(text) <= most,
        _say_length(round(cuts[0]), round(cuts[-1])),
    )


def _count_words(text: str) -> int:
    """Count words; in scripts without spaces, of which the pattern takes a whole run for one, by their letters."""
    return sum(
        max(1, count_words(split_words(word, joined=True))) if not word.isascii() else 1 for word in _WORD.findall(text)
    )


def _say_length(least: int, most: int) -> str:
    if least == most:
        return "Write one word." if least == 1 else f"Write {least} words."
    return f"Write {least} to {most} words."


def _learn_edges(texts: Sequence[str]) -> list[StyleRule]:
    """Learn the word that replies begin with, and the words at their end, or on one of their last two lines."""
    rules: list[StyleRule] = []
    for name, verb, take in (("greeting", "Begin", _first_word), ("sign-off", "End", _last_words)):
        counts = Counter(edge for text in texts for edge in take(text))
        # Of those that are as common the longest: `warm regards` rather than `regards`.
        edge, count = max(counts.items(), key=lambda item: (item[1], len(item[0])), default=("", 0))
        if count >= KEPT_BY * len(texts):
            reason = f"{count} of {len(texts)} replies have {edge!r} there."
            rules.append(StyleRule(name, reason, _make_edge_check(take, edge), f'{verb} with "{edge}".'))
    return rules


def _make_edge_check(take: Callable[[str], set[str]], edge: str) -> Callable[[str], bool]:
    return lambda text: edge in take(text)


def _first_word(text: str) -> set[str]:
    return set(_words(text[:80])[:1])


def _last_words(text: str) -> set[str]:
    """Return the last two words, and last lines that are short: a team's people have names of their own below one."""
    _first, *lines = [words for line in text.splitlines() if (words := _words(line))] or [[]]
    ends = [_words(text)[-2:], *(words for words in lines[-2:] if len(words) <= _LONGEST_SIGN_OFF)]
    return {" ".join(words) for words in ends if words}


def _learn_traits(texts: Sequence[str]) -> list[StyleRule]:
    """Learn what nearly all replies have, or nearly none has."""
    traits: dict[str, Callable[[str], bool]] = {
        "a list": lambda text: _LIST.search(text) is not None,
        "we": lambda text: not _WE.isdisjoint(_words(text)),
        "I": lambda text: not _ME.isdisjoint(_words(text)),
        "an emoji": lambda text: _EMOJI.search(text) is not None,
        **{name: _make_mark_check(mark) for name, mark in _MARKS.items()},
    }
    rules: list[StyleRule] = []
    says_who = sum(not _SAYS_WHO.isdisjoint(_words(text)) for text in texts) >= KEPT_BY * len(texts)
    for name, has in traits.items():
        count = sum(map(has, texts))
        if count >= KEPT_BY * len(texts):
            reason = f"{count} of {len(texts)} replies have {name}."
            rules.append(StyleRule(f"has {name}", reason, has, f"Use {_quote(name)}."))
        elif count <= (1 - KEPT_BY) * len(texts) and (says_who or name not in ("we", "I")):
            bare = name.removeprefix("an ").removeprefix("a ")
            reason = f"{len(texts) - count} of {len(texts)} replies have no {bare}."
            rules.append(StyleRule(f"no {bare}", reason, _make_opposite(has), f"Never use {_quote(name)}."))
    return rules


def _quote(name: str) -> str:
    """Quote words, which `we` and `I` are, and no descriptions, such as `a list`."""
    return name if " " in name else f'"{name}"'


def _make_mark_check(mark: str) -> Callable[[str], bool]:
    return lambda text: mark in text


def _make_opposite(has: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: not has(text)


def _learn_banned(texts: Sequence[str], others: Sequence[str]) -> StyleRule | None:
    """Learn words that a tenth of the other answers use, and no reply: the other side's habits."""
    words = frozenset(word for text in texts for word in _words(text))
    counts = Counter(word for text in others for word in set(_words(text)) if len(word) > 3 and word not in words)
    common = [word for word, count in counts.most_common(_MOST_BANNED) if count >= max(2, 0.1 * len(others))]
    if not common:
        return None
    banned = frozenset(common)
    return StyleRule(
        "banned words",
        f"No reply has them, and answers of the base model have: {', '.join(common)}.",
        lambda text: banned.isdisjoint(_words(text)),
        f"Never use these words: {', '.join(common)}.",
    )


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
