"""The demo's two tenants, read from the package's data."""

from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from msgspec import Struct

from gateway.cli.demo import houses
from gateway.cli.demo.conversations import Conversation, Material, conversations
from gateway.cli.demo.style import House

__all__ = ["Document", "Edit", "Question", "Tenant", "tenants"]


class Document(Struct, frozen=True):
    """A document as its tenant would save it; `key` is its path in the vector store and its file name in citations."""

    key: str
    source: Traversable

    def read(self) -> bytes:
        return self.source.read_bytes()


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """A held-out question.

    Attributes:
        accepted: Spellings of the right value; one of them has to be in the answer.
        wrong: Values of near-miss passages; none of them may be in the answer.
        document: The key of the one document that states the fact.
        quote: The words in which it does, found there exactly once.
    """

    id: str
    question: str
    entity: str
    attribute: str
    accepted: list[str]
    wrong: list[str]
    document: str
    quote: str


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """One fact that changes while everything serves; `old_text` is found exactly once in the document."""

    document: str
    old_text: str
    new_text: str
    question: str
    old_value: str
    new_value: str

    def apply(self, content: bytes) -> bytes:
        """The document with the new fact.

        Raises:
            ValueError: The old text is not there exactly once; the document was edited already.
        """
        old = self.old_text.encode()
        if (found := content.count(old)) != 1:
            raise ValueError(
                f"{self.document} has {self.old_text!r} {found} times, not once: it was edited before. "
                "Upload the document from the package again, then apply the edit."
            )
        return content.replace(old, self.new_text.encode())


class Tenant:
    """One tenant of the demo. Data are read when asked for.

    Attributes:
        name: Its name, and that of its folder.
        house: The rules of its voice.
    """

    def __init__(self, name: str, house: House, folder: Traversable) -> None:
        self.name = name
        self.house = house
        self._folder = folder

    @cached_property
    def documents(self) -> list[Document]:
        """All documents, by key."""
        found = [Document(entry.name, entry) for entry in (self._folder / "documents").iterdir()]
        return sorted(found, key=lambda document: document.key)

    @cached_property
    def questions(self) -> list[Question]:
        lines = (self._folder / "questions.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Question) for line in lines]

    @cached_property
    def edit(self) -> Edit:
        return msgspec.json.decode((self._folder / "edit.json").read_bytes(), type=Edit)

    @cached_property
    def prompt(self) -> str:
        """The release's prompt template; training rows are rendered with it too."""
        return (self._folder / "prompt.jinja").read_text(encoding="utf-8")

    @cached_property
    def style_guide(self) -> str:
        """The house voice as an instruction, for an untrained model."""
        return (self._folder / "style_guide.md").read_text(encoding="utf-8")

    def conversations(self, count: int) -> list[Conversation]:
        """The first `count` training conversations; the first 96 train, what follows validates."""
        return conversations(self._material, count)

    def dataset(self, start: int, stop: int) -> bytes:
        """Conversations `start` to `stop` as an OpenAI fine-tuning file (JSON lines)."""
        return b"".join(msgspec.json.encode(row) + b"\n" for row in self.conversations(stop)[start:])

    @cached_property
    def _material(self) -> Material:
        return msgspec.toml.decode((self._folder / "conversations.toml").read_bytes(), type=Material)


def tenants() -> tuple[Tenant, Tenant]:
    """Kestrel, a kettle maker, and Harbor, a ferry line."""
    data = files("gateway.cli.demo") / "data"
    return (
        Tenant("kestrel", houses.KESTREL, data / "kestrel"),
        Tenant("harbor", houses.HARBOR, data / "harbor"),
    )
