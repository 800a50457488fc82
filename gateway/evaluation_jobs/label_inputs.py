"""The questions and options of an evaluation of retrieval or a calibration, as its job finds them in the artifacts."""

import msgspec

from gateway.evaluation.labels import LabelledQuestion
from retrieval.answer_probability import LEAST_PROBABILITY
from retrieval.messages import Weights

__all__ = ["LabelInputs", "SearchWay", "read_inputs"]


class SearchWay(msgspec.Struct, frozen=True):
    """A way to search other than the usual one, by options that releases and requests have."""

    weights: Weights | None = None
    rerank: bool = False

    @property
    def name(self) -> str:
        """The name in a report."""
        words = [f"weights {self.weights.embedding:g}:{self.weights.text:g}"] if self.weights else []
        return ", ".join([*words, *(["rerank"] if self.rerank else [])])


class LabelInputs(msgspec.Struct, frozen=True):
    """Labelled questions, and the limit of abstention.

    Attributes:
        questions: None of a calibration whose questions are to be written.
        score_threshold: The limit, where it is of the best passage's score.
        least_probability: The limit otherwise: of the probability of an answer, as a release has it.
        ways: In which the first store is searched once more.
    """

    questions: list[LabelledQuestion]
    score_threshold: float | None = None
    least_probability: float = LEAST_PROBABILITY
    ways: list[SearchWay] = []


def read_inputs(data: bytes, limit: float) -> LabelInputs:
    """Read what was kept; of an evaluation that an earlier version queued, which has its questions alone.

    `limit` is then the row's: of scores in an evaluation of retrieval, which counts by the probability now.
    """
    inputs = msgspec.json.decode(data, type=LabelInputs | list[LabelledQuestion])
    if isinstance(inputs, LabelInputs):
        return inputs
    return LabelInputs(inputs, limit or None, limit or LEAST_PROBABILITY)
