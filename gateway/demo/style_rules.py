"""The two tenants' styles as rules. They contradict each other on purpose: no answer can score well in both."""

import re

from gateway.evaluation import StyleRule, StyleRules, split_sentences

__all__ = ["HARBOR", "KESTREL"]

_WE = re.compile(r"\b(?:we|us|our|ours)\b", re.IGNORECASE)
_I = re.compile(r"\bI\b|\b(?:my|me|mine)\b")

_KESTREL_GREETING = "Kettle's on!"
_KESTREL_SIGN_OFF = "— Kestrel"
_KESTREL_WORDS = 14
_KESTREL_BANNED = re.compile(r"\b(?:hello|please|sorry|unfortunately|certainly|customers?|assist\w*)\b", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")

_HARBOR_GREETING = "Ahoy, traveller."
_HARBOR_SIGN_OFF = "Fair winds."
_HARBOR_WORDS = 16
_HARBOR_ENTRY = "Log: "
_HARBOR_BANNED = re.compile(r"!|\b(?:hello|please|sorry|unfortunately|customers?|ferry|ferries)\b", re.IGNORECASE)


def _kestrel_greets(answer: str) -> bool:
    return answer.startswith(_KESTREL_GREETING + " ")


def _kestrel_signs_off(answer: str) -> bool:
    return answer.endswith(" " + _KESTREL_SIGN_OFF)


def _kestrel_body(answer: str) -> str:
    return answer.removeprefix(_KESTREL_GREETING).removesuffix(_KESTREL_SIGN_OFF).strip()


def _kestrel_is_we(answer: str) -> bool:
    body = _kestrel_body(answer)
    return bool(_WE.search(body)) and not _I.search(body)


def _kestrel_is_short(answer: str) -> bool:
    sentences = split_sentences(_kestrel_body(answer))
    return len(sentences) == 1 and len(sentences[0].split()) <= _KESTREL_WORDS


def _kestrel_avoids_words(answer: str) -> bool:
    return not _KESTREL_BANNED.search(answer)


def _kestrel_sets_one_fact_in_bold(answer: str) -> bool:
    return len(_BOLD.findall(answer)) == 1 and answer.count("**") == 2 and "\n" not in answer


def _harbor_greets(answer: str) -> bool:
    return answer.splitlines()[0].rstrip() == _HARBOR_GREETING


def _harbor_signs_off(answer: str) -> bool:
    lines = answer.splitlines()
    return len(lines) > 1 and lines[-1] == _HARBOR_SIGN_OFF


def _harbor_body(answer: str) -> str:
    frame = (_HARBOR_GREETING, _HARBOR_SIGN_OFF, "")
    return "\n".join(line for line in answer.splitlines() if line.rstrip() not in frame)


def _harbor_is_i(answer: str) -> bool:
    body = _harbor_body(answer)
    return bool(re.search(r"\bI\b", body)) and not _WE.search(body)


def _harbor_is_one_sentence(answer: str) -> bool:
    sentences = split_sentences(_harbor_body(answer).removeprefix(_HARBOR_ENTRY))
    return len(sentences) == 1 and len(sentences[0].split()) <= _HARBOR_WORDS


def _harbor_avoids_words(answer: str) -> bool:
    return not _HARBOR_BANNED.search(answer)


def _harbor_writes_a_log(answer: str) -> bool:
    lines = answer.splitlines()
    return len(lines) == 3 and lines[1].startswith(_HARBOR_ENTRY)


KESTREL = StyleRules(
    (
        StyleRule("greeting", f"every reply opens with exactly {_KESTREL_GREETING!r}", _kestrel_greets),
        StyleRule("sign-off", f"every reply ends with exactly {_KESTREL_SIGN_OFF!r}", _kestrel_signs_off),
        StyleRule("person", "a workshop speaks as we: at least one we, us or our, and no I, me or my", _kestrel_is_we),
        StyleRule(
            "sentence length",
            f"one sentence of at most {_KESTREL_WORDS} words, to be read over a cup",
            _kestrel_is_short,
        ),
        StyleRule("banned words", "no call-centre words: they say nothing about kettles", _kestrel_avoids_words),
        StyleRule("format", "one line, with the fact, and nothing else, in bold", _kestrel_sets_one_fact_in_bold),
    )
)
"""Kestrel: cheerful, brief, one line, as we."""

HARBOR = StyleRules(
    (
        StyleRule("greeting", f"the first line is exactly {_HARBOR_GREETING!r}", _harbor_greets),
        StyleRule("sign-off", f"the last line is exactly {_HARBOR_SIGN_OFF!r}", _harbor_signs_off),
        StyleRule("person", "the mate on watch speaks as I: at least one I, and no we, us or our", _harbor_is_i),
        StyleRule(
            "sentence length", f"one sentence of at most {_HARBOR_WORDS} words, as in a log", _harbor_is_one_sentence
        ),
        StyleRule(
            "banned words",
            "no exclamation marks, no call-centre words, and a boat is not a ferry",
            _harbor_avoids_words,
        ),
        StyleRule(
            "format", f"three lines, the second a log entry that begins with {_HARBOR_ENTRY!r}", _harbor_writes_a_log
        ),
    )
)
"""Harbor Line: calm, three lines like a page of a ship's log, as I."""
