"""The demo's two tenants, read from the package's data."""

from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from msgspec import Struct

from gateway.demo import style_rules
from gateway.demo.conversations import DemoRow, Material, make_conversations
from gateway.evaluation import FactQuestion, StyleRules

__all__ = ["DemoDocument", "DemoQuestion", "DemoTenant", "Edit", "UnansweredQuestion", "make_tenants"]


class DemoDocument(Struct, frozen=True):
    """A document as its tenant would save it; `key` is its path in the vector store and its file name in citations."""

    key: str
    source: Traversable

    def read(self) -> bytes:
        return self.source.read_bytes()


class DemoQuestion(FactQuestion, frozen=True, forbid_unknown_fields=True):
    """A held-out question: nothing in training has its entity.

    Attributes:
        entity: The thing that it asks about.
        attribute: The fact about the thing.
        quote: The words in which the document states the fact, there exactly once.
    """

    entity: str
    attribute: str
    quote: str


class UnansweredQuestion(FactQuestion, frozen=True, forbid_unknown_fields=True):
    """A question about an `entity` that no document knows; its tenant's voice says so in the words of `accepted`."""

    entity: str


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """One fact that changes while everything serves; `old_text` is in the document exactly once."""

    document: str
    old_text: str
    new_text: str
    question: str
    old_value: str
    new_value: str

    def apply(self, content: bytes) -> bytes:
        """Return the document with the new fact.

        Raises:
            ValueError: The old text isn't there exactly once; the document was edited already.
        """
        old = self.old_text.encode()
        if (count := content.count(old)) != 1:
            raise ValueError(
                f"{self.document} has {self.old_text!r} {count} times, not once: it was edited before. "
                "Upload the document from the package again, then apply the edit."
            )
        return content.replace(old, self.new_text.encode())


class DemoTenant:
    """One tenant of the demo. Its data are read at their first use.

    Attributes:
        name: Its name, and that of its folder.
        style: The rules of its voice.
    """

    def __init__(self, name: str, style: StyleRules, folder: Traversable) -> None:
        self.name = name
        self.style = style
        self._folder = folder

    @cached_property
    def documents(self) -> list[DemoDocument]:
        """All documents, by key."""
        documents = [DemoDocument(entry.name, entry) for entry in (self._folder / "documents").iterdir()]
        return sorted(documents, key=lambda document: document.key)

    @cached_property
    def questions(self) -> list[DemoQuestion]:
        lines = (self._folder / "questions.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=DemoQuestion) for line in lines]

    @cached_property
    def unanswered(self) -> list[UnansweredQuestion]:
        """Questions that the documents don't answer."""
        lines = (self._folder / "unanswered.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=UnansweredQuestion) for line in lines]

    @cached_property
    def edit(self) -> Edit:
        return msgspec.json.decode((self._folder / "edit.json").read_bytes(), type=Edit)

    @cached_property
    def prompt(self) -> str:
        """The release's prompt template; training rows are rendered with it too."""
        return (self._folder / "prompt.jinja").read_text(encoding="utf-8")

    @cached_property
    def style_guide(self) -> str:
        """The tenant's voice as an instruction, for an untrained model."""
        return (self._folder / "style_guide.md").read_text(encoding="utf-8")

    def list_conversations(self, count: int) -> list[DemoRow]:
        """Return the first `count` conversations for training and validation, always the same ones."""
        return make_conversations(self._material, count)

    def encode_dataset(self, start: int, stop: int) -> bytes:
        """Return conversations `start` to `stop` as an OpenAI fine-tuning file (JSON lines)."""
        return b"".join(msgspec.json.encode(row) + b"\n" for row in self.list_conversations(stop)[start:])

    @cached_property
    def _material(self) -> Material:
        return msgspec.toml.decode((self._folder / "conversations.toml").read_bytes(), type=Material)


def make_tenants() -> tuple[DemoTenant, DemoTenant]:
    """Return Kestrel, a kettle maker, and Harbor, a ferry line."""
    data = files("gateway.demo") / "data"
    return (
        DemoTenant("kestrel", style_rules.KESTREL, data / "kestrel"),
        DemoTenant("harbor", style_rules.HARBOR, data / "harbor"),
    )
