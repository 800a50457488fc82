"""A style in the prompt: a guide from the rules that replies keep, and examples chosen from them."""

import re
from collections.abc import Sequence

from gateway.advice.arms import PromptKit
from gateway.conversations.conversation import Conversation
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.stated_values import list_unsupported
from gateway.evaluation.style import StyleRules

__all__ = ["choose_examples", "make_kit", "write_guide"]

_EXAMPLES = 3
_LOOKED_AT = 80
_LONGEST = 1200
"""Characters of an example, question and reply: three longer ones would fill a small model's context."""

_SPACE = re.compile(r"\s+")


def make_kit(conversations: Sequence[Conversation]) -> PromptKit:
    """Make the guide and choose the examples, from conversations that aren't asked."""
    rules = learn_rules([one.messages[-1].text for one in conversations])
    return PromptKit(write_guide(rules), choose_examples(conversations, rules))


def write_guide(rules: StyleRules) -> str:
    """Return rules as instructions for a model; "" where there are none."""
    lines = [f"- {rule.instruction}" for rule in rules.rules if rule.instruction]
    return "\n".join(["Style of every reply:", *lines]) if lines else ""


def choose_examples(conversations: Sequence[Conversation], rules: StyleRules) -> list[tuple[str, str]]:
    """Choose conversations whose replies are like many others and unlike each other.

    Those that keep all rules and state no value of their own go first, so that no fact is copied from an example.
    """
    short = [one for one in conversations if sum(map(len, _to_pair(one))) <= _LONGEST]
    step = max(1, len(short) // _LOOKED_AT)
    candidates = short[::step][:_LOOKED_AT]
    clean = [one for one in candidates if _is_clean(one, rules)]
    if len(clean) >= _EXAMPLES:
        candidates = clean
    grams = [_cut_ngrams(one.messages[-1].text) for one in candidates]
    likeness = [[_compare(one, other) for other in grams] for one in grams]
    typical = [sum(row) / len(row) for row in likeness]
    indices: list[int] = []
    while len(indices) < min(_EXAMPLES, len(candidates)):
        rest = [at for at in range(len(candidates)) if at not in indices]
        indices.append(max(rest, key=lambda at: typical[at] - max((likeness[at][one] for one in indices), default=0.0)))
    return [_to_pair(candidates[at]) for at in indices]


def _to_pair(conversation: Conversation) -> tuple[str, str]:
    return conversation.messages[-2].text, conversation.messages[-1].text


def _is_clean(conversation: Conversation, rules: StyleRules) -> bool:
    question, reply = _to_pair(conversation)
    return not rules.list_broken(reply) and not list_unsupported(reply, [question])


def _cut_ngrams(text: str) -> frozenset[str]:
    plain = _SPACE.sub(" ", f" {text} ".casefold())
    return frozenset(plain[at : at + 4] for at in range(max(1, len(plain) - 3)))


def _compare(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
