"""Names of what decides the points of an index, to be compared with those that a store's points were made by."""

from dataclasses import dataclass

__all__ = ["IndexIdentity"]


@dataclass(frozen=True, slots=True)
class IndexIdentity:
    """One index: what its vectors were made by, and which of all indexes of that kind it is.

    Attributes:
        embedder: The embedder's identity: a digest of its weights, prompts and window.
        keywords: The keyword encoder's.
        id: Made at random with the index; another folder or Qdrant collection has another one.
    """

    embedder: str
    keywords: str
    id: str

    def __str__(self) -> str:
        return f"{self.embedder}/{self.keywords}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> "IndexIdentity":
        """Read an identity as it was written; of something else, an identity that is no index's."""
        embedder, keywords, id_ = ([*text.split("/"), "", "", ""])[:3]
        return cls(embedder, keywords, id_)

    def describe_change(self, present: "IndexIdentity") -> str:
        """Say in a sentence how the present index differs from this one, which the points were written to."""
        if self.embedder != present.embedder:
            return (
                f"The documents were indexed with the embedder {self.embedder!r}, and the retriever runs with "
                f"{present.embedder!r}, whose vectors can't be compared with them."
            )
        if self.keywords != present.keywords:
            return (
                f"The documents were indexed with the keyword encoder {self.keywords!r}, and the retriever runs with "
                f"{present.keywords!r}."
            )
        return (
            "The documents were indexed in another index than the one that the retriever has now: its folder was lost, "
            "replaced or set aside as unreadable, or another Qdrant server is used."
        )
