"""The raw figures of a gate: what each contestant said, and how likely each finds what others wrote."""

import msgspec

from gateway.evals.run_pair import PairedRuns
from gateway.evaluation.faithfulness import FaithfulnessScore
from gateway.gates.interview import Likelihood
from gateway.gates.looks import Look

__all__ = ["GateMeasurements", "NeutralMeasurement", "RowMeasurement", "SuiteMeasurement"]


class RowMeasurement(msgspec.Struct, frozen=True):
    """One held-out row.

    Attributes:
        passages: How many passages stood in the prompt.
        index_epochs: Of the stores that were searched.
        answers: By contestant.
        likelihoods: Of the reply, for `candidate` and `base` where the candidate has an adapter, and for `candidate`
            and `current` where the current release has one; empty where one of them doesn't fit into the context.
        controls: Of a made-up tenant's reply in its place, for `candidate` and `base`, and empty likewise.
        faithfulness: By contestant; empty without passages.
    """

    number: int
    question: str
    reply: str
    passages: int
    index_epochs: dict[str, int]
    answers: dict[str, str]
    likelihoods: dict[str, Likelihood]
    controls: dict[str, Likelihood]
    faithfulness: dict[str, FaithfulnessScore]


class SuiteMeasurement(msgspec.Struct, frozen=True):
    """One prompt of the base suite: who passes, and the candidate's answer."""

    kind: str
    prompt: str
    passed: dict[str, bool]
    answer: str

    @property
    def is_lost(self) -> bool:
        """Whether another contestant passes, and the candidate doesn't."""
        return any(self.passed.values()) and not self.passed["candidate"]


class NeutralMeasurement(msgspec.Struct, frozen=True):
    """One neutral text's log-probability per token, by contestant."""

    per_token: dict[str, float]


class GateMeasurements(msgspec.Struct, frozen=True):
    """All of them.

    Attributes:
        skipped: Numbers of the rows that don't fit into the context.
        learnt_replies: The replies that the candidate's adapter learnt, where its files are there.
        prompted: The prompts that the base refuses, asked behind the prompts of the releases; `base` is the bare model.
        canaries: Random texts that the tenant planted, and the answers of the candidate that have one.
        canary_answers: Answers to the prompts of rows that have a canary in their reply.
        judges_style: Whether the candidate has an adapter.
        compares_style: Whether the current release has one.
        judges_prompt: Whether the candidate has a prompt of its own.
        judges_faithfulness: Whether it searches for passages.
        evals: The runs of evals that it is held to.
        look: How much of the base suite was asked; None says that it was all in one go.
        suite_digest: The name of the prompts that were asked, see `identify_prompts`.
    """

    rows: list[RowMeasurement]
    skipped: list[int]
    suite: list[SuiteMeasurement]
    prompted: list[SuiteMeasurement]
    neutral: list[NeutralMeasurement]
    learnt_replies: list[str]
    canaries: list[str]
    canary_answers: list[str]
    judges_style: bool
    compares_style: bool
    judges_prompt: bool
    judges_faithfulness: bool
    faithful_baseline: str
    evals: list[PairedRuns] = []
    look: Look | None = None
    suite_digest: str = ""
