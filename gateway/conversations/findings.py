"""The findings of a check: each of one kind, with its rows."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from gateway.evaluation.values import Kind

__all__ = ["CheckReport", "FactClass", "Finding", "Level", "RowFact"]

Level = Literal["error", "warning", "info"]
FactClass = Literal["evidence", "index", "changed", "nowhere"]

_MOST_LISTED = 100


class Finding(msgspec.Struct, frozen=True):
    """One fault or fact of a file.

    Attributes:
        check: The kind, for programs: `near_duplicates`, say.
        level: An error is a row that can't be trained on; a warning is one that had better not be.
        message: For people.
        count: How many there are.
        rows: Their numbers, from 1: the first hundred.
        details: What a program may want besides, such as the language of each row.
    """

    check: str
    level: Level
    message: str
    count: int
    rows: list[int]
    details: dict[str, Any] = {}

    @classmethod
    def of(cls, check: str, level: Level, message: str, rows: Iterable[int], **details: Any) -> "Finding":
        """Make a finding of rows; its count is theirs."""
        numbers = sorted(set(rows))
        return cls(check, level, message, len(numbers), numbers[:_MOST_LISTED], details)


class RowFact(msgspec.Struct, frozen=True):
    """A value in a reply.

    Attributes:
        row: The row's number, from 1.
        place: Where it stands: a `FactClass`.
        readings: The value in its one spelling.
        store: The store of the document that states it, or that stated it; "" where none does.
        document: That document's id, `key` and `version`: of a changed one the present version, and `stated` the last
            that had the value. One that was deleted has no present version, which is 0.
        passage: The passage that states it; of a changed one the first that is about it now.
        deleted_at: When the document was deleted, in Unix seconds; 0 where it wasn't, or the time isn't kept.
    """

    row: int
    kind: Kind
    text: str
    readings: tuple[str, ...]
    place: FactClass
    store: str = ""
    document: str = ""
    key: str = ""
    version: int = 0
    stated: int = 0
    title: str = ""
    passage: str = ""
    deleted_at: int = 0

    @property
    def is_deleted(self) -> bool:
        """Whether it stood in a document that is there no more."""
        return self.place == "changed" and not self.version


class CheckReport(msgspec.Struct, frozen=True):
    """The findings for a file.

    Attributes:
        rows: All of its rows, sound or not.
        usable: Those that can be trained on.
        omitted: Numbers of what an import left out, by reason.
        facts: The values in the replies, where they were looked up.
    """

    format: str
    rows: int
    usable: int
    findings: Sequence[Finding]
    omitted: dict[str, int] = {}
    facts: Sequence[RowFact] = ()

    def count(self, level: Level) -> int:
        """Return how many findings are of a level."""
        return sum(finding.level == level for finding in self.findings)
