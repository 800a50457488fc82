"""Made tenants, each with another need, by rules and a seed; and a model that answers as models do in each arm.

Nothing is fitted to the advisor's bounds: voices, documents, questions and how well each arm works are drawn from the
seed. The model is the same for all: it follows a system text hardly, a guide in part, examples better and an adapter
best; it states facts from passages, and without them says that it doesn't know, or makes one up.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.advice.arms import Style
from tests.fakes.vllm import Chat, FakeVllm

__all__ = ["KINDS", "Kind", "MadeTenant", "Question", "make_tenant", "play"]

Kind = Literal["style", "facts", "both", "bounded", "stale"]
KINDS: tuple[Kind, ...] = ("style", "facts", "both", "bounded", "stale")

_SYSTEM = "You write for the support desk of Kestrel. Be helpful."
_OPENINGS = ("Ahoy", "Hiya", "Greetings", "Howdy", "Servus", "Moin")
_CLOSINGS = ("Fair winds, team {0}", "Stay curious, the {0} crew", "Keep brewing, yours {0}", "Onwards, {0} desk")
_BRANDS = ("Kestrel", "Harbor", "Lumen", "Quillon")
_FILLERS = ("right away", "no trouble at all", "on the double", "before you can blink", "with a smile")
_ITEMS = ("kettle", "lamp", "heater", "grinder", "radio", "fan", "toaster", "scale", "clock", "mixer", "iron", "oven")
_HELP = (
    "send us a photo of it and we replace it",
    "unplug it, wait a moment and plug it in again",
    "clean the filter and try it once more",
    "bring it to any of our shops for a check",
    "open the lid and press the small button inside",
    "ask the courier for the slip and keep it",
)
_TROUBLES = ("arrived scratched", "makes a noise", "smells odd", "won't start", "leaks a little", "is too loud")
_LABELS = ("billing", "shipping", "returns", "technical")
_COMPLAINTS = {
    "billing": ("I was charged twice for the {0}.", "The invoice for the {0} is wrong."),
    "shipping": ("Where is my {0}?", "The parcel with the {0} never came."),
    "returns": ("I want to send the {0} back.", "How can I return the {0}?"),
    "technical": ("The {0} won't start.", "My {0} shows an error."),
}
_PLAIN = {
    "warranty": ("The warranty of the {0} is {1} months.", "The {0} has a warranty of {1} months."),
    "price": ("The {0} costs £{1}.", "The price of the {0} is £{1}."),
}
_ASKED = {
    "warranty": ("How long is the warranty of the {0}?", "For how many months is the {0} under warranty?"),
    "price": ("What does the {0} cost?", "What is the price of the {0}?"),
}
_STATED = {
    "warranty": re.compile(r"warranty of the ([\w-]+) is (\d+) months"),
    "price": re.compile(r"([\w-]+) costs £(\d+)"),
}


@dataclass(frozen=True)
class Question:
    """One question: its subject is an item's fact (`warranty`, `price`), `help`, or a label."""

    text: str
    item: str
    subject: str


@dataclass
class MadeTenant:
    """One tenant: `facts` are what its rows were answered by, and `skill` how well each arm keeps to the voice."""

    kind: Kind
    seed: int
    facts: Mapping[tuple[str, str], int]
    rows: list[tuple[Question, str]]
    skill: Mapping[Style, float]
    invents: bool
    wordy: bool
    opening: str
    closing: str
    by_text: dict[str, Question] = field(default_factory=dict[str, Question])

    def documents(self, *, edited: bool = False) -> dict[str, str]:
        """Return the documents by key; once edited, every value is another one."""
        texts: dict[str, list[str]] = {}
        for (subject, item), value in self.facts.items():
            texts.setdefault(item, []).append(_PLAIN[subject][0].format(item, value + 5 if edited else value))
        return {f"{item}.md": f"# The {item}\n\n" + " ".join(lines) + "\n" for item, lines in texts.items()}

    def data(self, start: float = 0.0, end: float = 1.0) -> bytes:
        """Return a part of the rows as OpenAI's JSONL."""
        some = self.rows[round(start * len(self.rows)) : round(end * len(self.rows))]
        return "\n".join(json.dumps(_to_row(question, reply)) for question, reply in some).encode()

    def reply(self, question: Question, value: int | None, random: random.Random) -> str:
        """Write as the tenant does; a value of None isn't known."""
        if self.kind == "bounded":
            return question.subject
        if self.kind == "facts":
            return self.plain(question, value, random, wordy=self.wordy)
        if question.subject == "help":
            body = f"{random.choice(_HELP)}, {random.choice(_FILLERS)}"
        elif value is None:
            body = "that isn't in our papers"
        else:
            unit = f"{value} months" if question.subject == "warranty" else f"£{value}"
            body = f"for the {question.item} it is {unit}, {random.choice(_FILLERS)}"
        return f"{self.opening}! {body[0].upper()}{body[1:]}. {self.closing}"

    def plain(self, question: Question, value: int | None, random: random.Random, *, wordy: bool) -> str:
        """Write as the base model does."""
        if question.subject in _LABELS:
            return f"This looks like a question about {question.subject}. I would pass it on to the team for that."
        if question.subject == "help":
            text = f"You could try this: {random.choice(_HELP)}."
        elif value is None:
            text = "I'm sorry, but I don't have that information."
        else:
            text = random.choice(_PLAIN[question.subject]).format(question.item, value)
        return f"{text} Please let me know if there is anything else that I can do for you." if wordy else text

    def answer(self, style: Style, question: Question, passages: str | None) -> str:
        """Answer as the model does in an arm."""
        key = f"{self.seed}/{style}/{passages is not None}/{question.text}"
        chance = random.Random(key)
        value = self._choose_value(style, question, passages, chance)
        keeps = chance.random() < self.skill[style]
        if self.kind == "facts" or not keeps:
            text = self.plain(question, value, chance, wordy=self.wordy)
            if self.kind != "facts" and style in ("guide", "few-shot") and chance.random() < 0.5:
                text = f"{self.opening}! {text}"
        else:
            text = self.reply(question, value, chance)
        return f"{text} [1]" if passages and value is not None and style != "adapter" else text

    def _choose_value(
        self, style: Style, question: Question, passages: str | None, chance: random.Random
    ) -> int | None:
        if question.subject not in _STATED:
            return None
        if style == "adapter" and self.kind == "stale" and (not passages or chance.random() < 0.7):
            return self.facts[question.subject, question.item]
        stated = {item: int(value) for item, value in _STATED[question.subject].findall(passages or "")}
        if question.item in stated and chance.random() < 0.96:
            return stated[question.item]
        return chance.randrange(2, 90) if self.invents and passages is None else None


def make_tenant(kind: Kind, seed: int, *, rows: int = 96) -> MadeTenant:
    """Make a tenant of a kind."""
    chance = random.Random(f"{kind}/{seed}")
    items = [f"{item}-{chance.choice('abcdefgh')}{chance.choice('klmnop')}" for item in _ITEMS]
    facts = {("warranty", item): chance.randrange(6, 60) for item in items}
    facts |= {("price", item): chance.randrange(61, 400) for item in items}
    skills: dict[Style, float] = {
        "none": 0.0,
        "prompt": chance.uniform(0.0, 0.15),
        "guide": chance.uniform(0.25, 0.5),
        "few-shot": chance.uniform(0.45, 0.7),
        "adapter": chance.uniform(0.93, 1.0),
    }
    if kind == "bounded":
        skills |= {"few-shot": chance.uniform(0.97, 1.0), "adapter": chance.uniform(0.97, 1.0)}
    brand = chance.choice(_BRANDS)
    tenant = MadeTenant(
        kind,
        seed,
        facts,
        [],
        skills,
        invents=chance.random() < 0.5,
        wordy=chance.random() < 0.5,
        opening=chance.choice(_OPENINGS),
        closing=chance.choice(_CLOSINGS).format(brand),
    )
    share = {"style": 0.03, "facts": 0.75, "both": 0.5, "bounded": 0.0, "stale": 0.6}[kind]
    for number in range(rows):
        question = _ask(kind, chance, items, share, number)
        tenant.by_text[question.text] = question
        value = facts.get((question.subject, question.item))
        tenant.rows.append((question, tenant.reply(question, value, chance)))
    return tenant


def _ask(kind: Kind, chance: random.Random, items: list[str], share: float, number: int) -> Question:
    item = chance.choice(items)
    if kind == "bounded":
        label = chance.choice(_LABELS)
        return Question(f"{chance.choice(_COMPLAINTS[label]).format(item)} Ticket {number}.", item, label)
    if chance.random() < share:
        subject = chance.choice(("warranty", "price"))
        return Question(f"{chance.choice(_ASKED[subject]).format(item)} Ticket {number}.", item, subject)
    return Question(f"My {item} {chance.choice(_TROUBLES)}, what can I do? Ticket {number}.", item, "help")


def _to_row(question: Question, reply: str) -> dict[str, Any]:
    turns = (("system", _SYSTEM), ("user", question.text), ("assistant", reply))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def play(engine: FakeVllm, tenant: MadeTenant) -> None:
    """Have the engine play the base model, and the tenant's adapters."""
    engine.max_model_len = 16_384

    def reply(chat: Chat) -> str:
        question = next((one for text, one in tenant.by_text.items() if chat.last.endswith(text)), None)
        if question is None:
            return "I don't know."
        before = chat.last.removesuffix(question.text) or None
        return tenant.answer(_find_style(engine, chat), question, before)

    engine.reply = reply


def _find_style(engine: FakeVllm, chat: Chat) -> Style:
    if chat.model != engine.model:
        return "adapter"
    if any(one["role"] == "assistant" for one in chat.messages):
        return "few-shot"
    system = "\n".join(str(one["content"]) for one in chat.messages if one["role"] == "system")
    if "Style of every reply" in system:
        return "guide"
    return "prompt" if _SYSTEM in system else "none"
