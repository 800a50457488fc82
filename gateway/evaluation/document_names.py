"""Names by which labels mean a store's documents: key, id, file id, file name, or a name without its ending."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from msgspec.structs import replace

from gateway.counts import format_count
from gateway.evaluation.labels import BadLabels, LabelledQuestion

__all__ = ["DocumentNames", "StoreDocument"]

_MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class StoreDocument:
    """A document of a store by all of its names; `key` is the one that reports use."""

    key: str
    id: str
    file_id: str
    filename: str


_NAMES: tuple[Callable[[StoreDocument], str], ...] = (
    lambda document: document.key,
    lambda document: document.id,
    lambda document: document.file_id,
    lambda document: document.filename,
    lambda document: PurePath(document.key).stem,
    lambda document: PurePath(document.filename).stem,
)
"""In this order: a name means the first kind of which any document has it."""


class DocumentNames:
    """Finds the documents that names mean.

    Args:
        store: The store's name, for errors.
        documents: All documents of the store.
    """

    def __init__(self, store: str, documents: Iterable[StoreDocument]) -> None:
        self._store = store
        self._by_name: list[dict[str, list[StoreDocument]]] = [{} for _ in _NAMES]
        for document in documents:
            for by_name, name_of in zip(self._by_name, _NAMES, strict=True):
                by_name.setdefault(name_of(document), []).append(document)

    def find(self, name: str) -> Sequence[StoreDocument]:
        """Return the documents that a name means: none, one, or several where it is ambiguous."""
        return next((by_name[name] for by_name in self._by_name if name in by_name), ())

    def resolve(self, questions: Sequence[LabelledQuestion]) -> list[LabelledQuestion]:
        """Return the questions with their documents by key. Documents of grade 0 needn't exist.

        Raises:
            BadLabels: Documents that answer questions aren't in the store, or names mean several.
        """
        missing: dict[str, None] = {}
        ambiguous: dict[str, Sequence[StoreDocument]] = {}
        resolved: list[LabelledQuestion] = []
        for question in questions:
            grades: dict[str, int] = {}
            for name, grade in question.documents.items():
                documents = self.find(name)
                if len(documents) == 1:
                    grades[documents[0].key] = grade
                elif grade > 0 and documents:
                    ambiguous[name] = documents
                elif grade > 0:
                    missing[name] = None
            resolved.append(replace(question, documents=grades))
        if missing:
            raise BadLabels(
                f"The labels name {format_count(len(missing), 'document')} that the store {self._store!r} doesn't "
                f"have: {_list(missing)}. Labels name documents by key, file name or id, as 'braid docs list' shows "
                "them. Add them with 'braid docs add', or take their rows out."
            )
        if ambiguous:
            name, documents = next(iter(ambiguous.items()))
            raise BadLabels(
                f"{format_count(len(ambiguous), 'name means', 'names mean')} several documents of {self._store!r} in "
                f"the labels: {name!r} is {_list(document.key for document in documents)}. Name them by their keys."
            )
        return resolved


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
