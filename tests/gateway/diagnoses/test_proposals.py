"""Proposals by themselves: at temperature 0 what a change breaks is held against the failures that chose it."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.answering.question import Message
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE
from gateway.assistants.release import ReleaseSpec
from gateway.assistants.schemas import ReleaseCreate
from gateway.diagnoses.attribution import AnswerTally, Aspect
from gateway.diagnoses.cases import Case
from gateway.diagnoses.proposals import Proposal, ProposalMaker
from gateway.diagnoses.variants import ReleaseVariant, ReleaseVariants

BROKEN = ("pass 1", "pass 2", "pass 3")


class Played:
    """Stands for the replay and the search: the candidate mends the strand's own failures, and breaks three passes."""

    async def find(self, _target: Target, _case: Case) -> tuple[Any, list[str]]:
        return NO_EVIDENCE, []

    async def count_right(self, target: Target, case: Case, *_: object) -> AnswerTally:
        changed, own, right = target.variables == {"changed": 1}, case.id[:3] == "own", case.id[:4] == "pass"
        return AnswerTally(3 if (changed and own) or (right and not (changed and case.id in BROKEN)) else 0, 3)


async def choose(temperature: float) -> Proposal:
    def name(kind: str, count: int) -> list[tuple[Case, Aspect]]:
        return [(Case(id=f"{kind} {at}", messages=[Message("user", "?")]), "facts") for at in range(count)]

    target = Target("base", sampling={"temperature": temperature})
    release = ReleaseVariants("desk@1", ReleaseSpec("base", "", None, None, "", None, {}), target, (), target)
    changed = replace(target, variables={"changed": 1})
    candidate = ReleaseVariant("no_adapter", "style", "adapter", "no adapter", changed, ReleaseCreate())
    played: Any = Played()
    maker = ProposalMaker(played, played, release, 3)
    return (await maker.choose([candidate], name("own", 6), name("other", 4), name("pass", 20)))[1]


@pytest.mark.parametrize(("temperature", "failures", "proposed"), [(0.7, 6, True), (0, 10, False)])
async def test_at_temperature_zero_a_change_is_judged_by_all_cases(
    temperature: float, failures: int, proposed: bool
) -> None:
    proposal = await choose(temperature)
    assert (proposal.failures.cases, proposal.proposed) == (failures, proposed)
    assert (proposal.failures.mended, proposal.passes.broken) == (6, 3)
