"""Proposals: a candidate is replayed on the failures and on answers that passed, and stands where it mends beyond noise
and breaks nothing beyond noise.

Its answers have other seeds than those by which the strand was told, so that chance which chose it doesn't judge it. At
temperature 0 there are no other answers, and the strand's failures are those that the change mends. There it is judged
by all failures and the answers that passed together, so that what it breaks is held against what it was chosen for.
"""

from collections.abc import Sequence
from math import comb

import msgspec

from gateway.diagnoses.answer_judge import find_expected
from gateway.diagnoses.attribution import AnswerTally, Aspect
from gateway.diagnoses.case_search import CaseSearch
from gateway.diagnoses.cases import Case, Strand
from gateway.diagnoses.replay import Replay, answers_alike
from gateway.diagnoses.variants import ReleaseVariant, ReleaseVariants
from gateway.errors import BadRequest
from gateway.evaluation.estimate import Estimate, estimate_mean_difference
from gateway.task_group import await_each

__all__ = ["LEAST_PASSES", "CandidateDifference", "Proposal", "ProposalMaker", "compute_sign_chance"]

LEAST_PASSES = 5
"""Fewer answers that passed show nothing of what a candidate breaks."""
_CHANCE = 0.05


class CandidateDifference(msgspec.Struct, frozen=True):
    """A candidate beside the release on the same cases.

    Attributes:
        cases: How many cases.
        mended: Right most of the time by the candidate, and not by the release.
        broken: The other way round.
        difference: Of the shares of right answers, paired by case, with its 95 % bootstrap interval; None without any.
    """

    cases: int
    mended: int
    broken: int
    difference: Estimate | None

    @property
    def gains(self) -> bool:
        """Whether more cases are mended than broken, beyond chance (one-sided sign test at 0.05)."""
        return _exceeds(self.mended, self.broken)

    @property
    def loses(self) -> bool:
        return _exceeds(self.broken, self.mended)


class Proposal(msgspec.Struct, frozen=True):
    """A change that was measured, for one strand.

    Attributes:
        change: What is changed, in words.
        failures: On the failures of this strand; of a release at temperature 0 on those of all strands.
        passes: On answers that passed.
        proposed: Whether a release was made of it; it is in the diagnosis under its strand, and promoted by nobody.
        note: Why none was made.
    """

    strand: Strand
    change: str
    failures: CandidateDifference
    passes: CandidateDifference
    proposed: bool
    note: str


class ProposalMaker:
    """Measures candidates of one diagnosis."""

    def __init__(self, replay: Replay, releases: CaseSearch, release: ReleaseVariants, samples: int) -> None:
        self._replay = replay
        self._releases = releases
        self._release = release
        self._samples = samples

    async def choose(
        self,
        candidates: Sequence[ReleaseVariant],
        failures: Sequence[tuple[Case, Aspect]],
        others: Sequence[tuple[Case, Aspect]],
        passes: Sequence[tuple[Case, Aspect]],
    ) -> tuple[ReleaseVariant, Proposal]:
        """Measure the candidates for a strand, and return the one that mends most, net of what it breaks.

        `failures` are the strand's, and `others` those of other strands, which count at temperature 0.

        Raises:
            EngineError: No engine answered.
            Unavailable: The retriever doesn't answer.
        """
        if answers_alike(self._release.target):
            failures = [*failures, *others]
        trials = [(one, await self._measure(one, failures, passes)) for one in candidates]
        return max(trials, key=lambda pair: (pair[1].proposed, _count_net(pair[1])))

    async def _measure(
        self,
        candidate: ReleaseVariant,
        failures: Sequence[tuple[Case, Aspect]],
        passes: Sequence[tuple[Case, Aspect]],
    ) -> Proposal:
        on_failures = await self._compare(candidate, failures)
        on_passes = await self._compare(candidate, passes)
        both = on_failures, on_passes
        alike = answers_alike(self._release.target)
        whole = _exceeds(sum(one.mended for one in both), sum(one.broken for one in both))
        if not (whole if alike else on_failures.gains):
            note = "It doesn't mend beyond noise."
        elif on_passes.loses:
            note = "It breaks answers that passed, beyond noise."
        elif on_passes.cases < LEAST_PASSES:
            note = (
                f"{on_passes.cases} answers that passed can be judged, and {LEAST_PASSES} are the fewest that show "
                "what it breaks. Name some in `passes`, or a run of an eval."
            )
        else:
            note = ""
        return Proposal(candidate.strand, candidate.change, on_failures, on_passes, not note, note)

    async def _compare(self, candidate: ReleaseVariant, cases: Sequence[tuple[Case, Aspect]]) -> CandidateDifference:
        """Ask the candidate and the release about each case; one that doesn't fit into the context is left out."""
        answered = await await_each(lambda one: self._ask_both(candidate, *one), cases)
        pairs = [pair for pair in answered if pair is not None]
        rates = [one.rate for one, _ in pairs], [other.rate for _, other in pairs]
        return CandidateDifference(
            cases=len(pairs),
            mended=sum(one.rate > 0.5 >= other.rate for one, other in pairs),
            broken=sum(other.rate > 0.5 >= one.rate for one, other in pairs),
            difference=estimate_mean_difference(*rates) if pairs else None,
        )

    async def _ask_both(
        self, candidate: ReleaseVariant, case: Case, aspect: Aspect
    ) -> tuple[AnswerTally, AnswerTally] | None:
        facts = find_expected(case)
        tallies: list[AnswerTally] = []
        for target in (candidate.target, self._release.target):
            evidence, _ = await self._releases.find(target, case)
            try:
                right = self._replay.count_right(target, case, facts, evidence, self._samples, aspect)
                tallies.append(await right)
            except BadRequest:
                return None
        return tallies[0], tallies[1]


def _exceeds(more: int, less: int) -> bool:
    return more > less and compute_sign_chance(more, less) <= _CHANCE


def compute_sign_chance(more: int, less: int) -> float:
    """Return the probability of so many, or more, of all discordant pairs on one side, where neither is better."""
    total = more + less
    return sum(comb(total, k) for k in range(more, total + 1)) / 2**total


def _count_net(proposal: Proposal) -> int:
    both = proposal.failures, proposal.passes
    return sum(one.mended - one.broken for one in both)
