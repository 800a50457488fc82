"""The account of an import: of each kind how much there is, was there already, was made, and what can't be taken."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.evaluation.estimate import Estimate

__all__ = ["SOURCE_KEY", "ImportReport", "KindCount", "Omission", "StyleSimilarity", "add_source"]

SOURCE_KEY = "openai_id"
"""The member of `metadata` that has the id of the object at OpenAI: by it a second run knows what the first made."""
_MOST_METADATA = 16


class KindCount(msgspec.Struct):
    """Of one kind: how many the export has, were imported earlier, were imported now (or would be), and can't be."""

    total: int = 0
    present: int = 0
    imported: int = 0
    omitted: int = 0


class Omission(msgspec.Struct, frozen=True):
    """Something that can't be taken, or not whole (`partly`), and why."""

    kind: str
    id: str
    name: str
    reason: str
    partly: bool = False


class StyleSimilarity(msgspec.Struct, frozen=True):
    """A new model's answers held against the hosted model's, to the same `n` questions.

    `voice` is the mean probability that an answer has the hosted model's voice rather than the base model's, by a
    classifier on character n-grams that hasn't seen an answer to the question; `hosted_voice` and `base_voice` are the
    same of the hosted answers and of the base model's. `closeness` is the mean cosine of the n-grams of an answer and
    the hosted one, `gain` how much closer that is than the base model's, row by row. Intervals are 95 %.
    """

    hosted: str
    model: str
    n: int
    voice: Estimate
    hosted_voice: Estimate
    base_voice: Estimate
    closeness: Estimate
    gain: Estimate


class ImportReport(msgspec.Struct):
    """The whole; `models` leads from hosted names, which answer here too, to the new models.

    `checkpoints` does the same for the names of checkpoints, each with the one here of the same or the nearest step.
    """

    dry_run: bool
    counts: dict[str, KindCount] = {}
    omissions: list[Omission] = []
    models: dict[str, str] = {}
    checkpoints: dict[str, str] = {}
    untrained: list[str] = []
    similarities: list[StyleSimilarity] = []

    def count(self, kind: str) -> KindCount:
        return self.counts.setdefault(kind, KindCount())

    def omit(self, kind: str, id: str, name: str, reason: str) -> None:
        self.count(kind).omitted += 1
        self.omissions.append(Omission(kind, id, name, reason))

    def note(self, kind: str, id: str, name: str, reason: str) -> None:
        """Say what of something that is taken isn't."""
        self.omissions.append(Omission(kind, id, name, reason, partly=True))


def add_source(report: ImportReport, kind: str, id: str, metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Return an object's metadata with its id at OpenAI; where there is no room for a key, the last one goes."""
    own = {name: str(value) for name, value in (metadata or {}).items() if name != SOURCE_KEY}
    if len(own) >= _MOST_METADATA:
        dropped = list(own)[_MOST_METADATA - 1 :]
        report.note(kind, id, "", f"metadata has no room for {SOURCE_KEY} beside {_MOST_METADATA} keys: {dropped} goes")
        own = {name: value for name, value in own.items() if name not in dropped}
    return own | {SOURCE_KEY: id}
