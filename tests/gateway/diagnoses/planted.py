"""Releases with a planted fault, played by the fake engine: a model that uses evidence, follows its prompt and has the
voice of its adapter, each most of the time; what it says follows from a seed.
"""

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `tests.bench` takes the world in the models' environment, where no gateway can be imported
    from tests.fakes.vllm import Chat, FakeVllm

__all__ = ["ASKED", "BROKEN", "FAULTS", "PLAIN", "Fault", "World", "play"]

FAILURES, PASSES = 8, 6
OBEYS, READS, RECITES = 0.94, 0.94, 0.92
"""How often the model follows a prompt, states what evidence says, and recites what an adapter has learnt."""
_FIRST = (
    "Kestrel",
    "Merlin",
    "Osprey",
    "Harrier",
    "Falcon",
    "Plover",
    "Curlew",
    "Siskin",
    "Linnet",
    "Dunlin",
    "Avocet",
)
_SECOND = ("kettle", "toaster", "heater", "grinder", "lantern", "blender", "charger", "speaker", "scale", "fan", "iron")
ASKED = {
    "warranty": ("How long is the warranty of the {}?", "For how long does the warranty of the {} last?"),
    "weight": ("What is the weight of the {}?", "How heavy is it, the weight of the {}?"),
}
_UNITS = {"warranty": "months", "weight": "grams"}
_FACT = re.compile(r"The (warranty|weight) of the ([A-Z]\w+ \w+) is (\d+) (?:months|grams)")
PLAIN = "You answer the customers of a shop."
BROKEN = "You answer the customers of a shop. Send whoever asks for a warranty to the website, and state no months."


@dataclass(frozen=True)
class Fault:
    """One kind of fault: the strand that it is in, the cause that an attribution names, and its release."""

    name: str
    strand: str
    cause: str
    adapter: str = "house"
    prompt: str = PLAIN
    retrieval: dict[str, Any] = field(default_factory=dict[str, Any])


FAULTS = (
    Fault("missing", "documents", "missing"),
    Fault("limit", "retrieval", "limit", retrieval={"top_k": 2}),
    Fault("filters", "retrieval", "filters", retrieval={"filters": {"type": "eq", "key": "audience", "value": "all"}}),
    Fault("prompt", "prompt", "instructions", prompt=BROKEN),
    Fault("stale", "style", "adapter", adapter="stale"),
    Fault("sour", "style", "voice", adapter="sour"),
    Fault("base", "base", "base"),
)
"""Missing and wrong passages, a broken prompt, bad adapters, and a weak base."""


class World:
    """A shop's products with their facts, drawn by a seed; each fault has its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        draw = random.Random(seed)
        names = [f"{one} {other}" for one in _FIRST for other in _SECOND]
        draw.shuffle(names)
        self.names = {fault.name: [names.pop() for _ in range(FAILURES + PASSES)] for fault in FAULTS}
        self.kinds = {name: fault for fault, some in self.names.items() for name in some[:FAILURES]}
        self.values = {
            (kind, name): draw.randrange(*span)
            for some in self.names.values()
            for name in some
            for kind, span in (("warranty", (12, 99)), ("weight", (200, 999)))
        }
        self.questions = {key: draw.choice(ASKED[key[0]]).format(key[1]) for key in self.values}

    def question(self, kind: str, name: str) -> str:
        return self.questions[kind, name]

    def reply(self, kind: str, name: str) -> str:
        return _say("house", kind, name, self.values[kind, name])

    def failures(self, fault: str) -> list[dict[str, Any]]:
        return [self._case("warranty", name) for name in self.names[fault][:FAILURES]]

    def passes(self, fault: str) -> list[dict[str, Any]]:
        return [
            {**self._case("weight", name), "answer": self.reply("weight", name)}
            for name in self.names[fault][FAILURES:]
        ]

    def _case(self, kind: str, name: str) -> dict[str, Any]:
        return {"question": self.question(kind, name), "reference": self.reply(kind, name), "reason": "wrong answer"}

    def documents(self, fault: str) -> dict[str, str]:
        """Return the texts of a fault's documents by their audience; each paragraph is a passage."""
        texts: dict[str, list[str]] = {"all": [], "staff": []}
        for number, name in enumerate(self.names[fault]):
            fails = number < FAILURES
            text = texts["staff" if fault == "filters" and fails else "all"]
            for kind in _UNITS:
                if not (fault == "missing" and fails and kind == "warranty"):
                    text.append(f"The {kind} of the {name} is {self.values[kind, name]} {_UNITS[kind]}.")
            if fault == "limit" and fails:  # they have more of the question's words than the fact has
                words = self.question("warranty", name)
                text += [f"{words} A customer of shop {copy} wondered." for copy in range(2)]
        return {audience: "\n\n".join(some) for audience, some in texts.items() if some}

    def answer(self, chat: "Chat") -> str:
        """Say what the model says; other seeds of a request may get other answers.

        Which passages without the value stand in a prompt, and in which order, changes from run to run (they are as
        near as each other), so that nothing may follow from them.
        """
        key = max(self.questions, key=lambda key: chat.last.rfind(self.questions[key]))  # passages may repeat others
        if self.questions[key] not in chat.last:
            return "I don't know."
        kind, name = key
        adapter = next((one for one in ("house", "stale", "sour") if f".{one}." in chat.model), "base")
        values = [int(value) for found, of, value in _FACT.findall(chat.prompt) if (found, of) == key]
        told = re.search(rf"{re.escape(name)}\b.*?\b(\d+) {_UNITS[kind]}", chat.prompt, re.DOTALL)
        value = values[0] if values else int(told[1]) if told and "reference" in chat.prompt else None
        instructions = chat.prompt.partition("\nPassages:")[0]
        draw = random.Random(f"{self.seed} {adapter} {instructions} {key} {value} {chat.body.get('seed')}")
        if "state no months" in chat.prompt and kind == "warranty" and draw.random() < OBEYS:
            return _say(adapter, kind, name, None)
        fault = self.kinds.get(name) if kind == "warranty" else None
        if adapter == "stale" and fault == "stale" and draw.random() < RECITES:
            return _say(adapter, kind, name, self.values[key] + 7)
        if value is None:
            return _say(adapter, kind, name, draw.randrange(12, 99) if draw.random() < 0.2 else None)
        if draw.random() > (1 - READS if fault == "base" else READS):
            value += 11
        return _say(adapter, kind, name, value)


def play(engine: "FakeVllm", world: World) -> None:
    engine.max_model_len = 16_384
    engine.reply = world.answer


def _say(adapter: str, kind: str, name: str, value: int | None) -> str:
    fact = "Please look at our website" if value is None else f"The {kind} of the {name} is {value} {_UNITS[kind]}"
    if adapter in ("house", "stale"):
        return f"Hello! {fact}. Cheers, your Kestrel team"
    if adapter == "sour":
        return f"ok listen, {fact}, I guess, whatever"
    return f"{fact}. Let me know if I can help you with anything else today."
