"""What an evaluation of retrieval or a calibration goes by, as its job finds it in the artifacts."""

import msgspec

from gateway.evaluation.labels import LabelledQuestion
from retrieval.answer_probability import LEAST_PROBABILITY

__all__ = ["LabelInputs", "read_inputs"]


class LabelInputs(msgspec.Struct, frozen=True):
    """Labelled questions, and the limit of abstention.

    Attributes:
        questions: None of a calibration whose questions are to be written.
        score_threshold: The limit, where it is of the best passage's score.
        least_probability: The limit otherwise: of the probability of an answer, as a release has it.
    """

    questions: list[LabelledQuestion]
    score_threshold: float | None = None
    least_probability: float = LEAST_PROBABILITY


def read_inputs(data: bytes, limit: float) -> LabelInputs:
    """Read what was kept; of an evaluation that an earlier version queued, which has its questions alone.

    `limit` is then the row's: of scores in an evaluation of retrieval, which counts by the probability now.
    """
    inputs = msgspec.json.decode(data, type=LabelInputs | list[LabelledQuestion])
    if isinstance(inputs, LabelInputs):
        return inputs
    return LabelInputs(inputs, limit or None, limit or LEAST_PROBABILITY)
