"""From paired outcomes to the strand at fault: what mends an answer when it alone is changed, beyond chance.

Nothing is guessed: where two strands mend alike, or outcomes don't decide, the strand is `unknown`, with the reason.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import comb
from typing import Literal

import msgspec

from gateway.diagnoses.cases import Strand

__all__ = [
    "AS_FOUND",
    "AnswerTally",
    "Ask",
    "Aspect",
    "Attribution",
    "CaseScene",
    "VariantStrand",
    "chance_of",
    "decide",
]

AS_FOUND = "as_found:"
"""Before a variant's name: with the passages as the release finds them, though what is expected isn't in them."""
_CHANCE = 0.1
"""One-sided, by Fisher's exact test: three right of three against none of three are at 0.05."""

Effect = Literal["mends", "same", "uncertain"]
Aspect = Literal["facts", "voice"]


class AnswerTally(msgspec.Struct, frozen=True, array_like=True):
    """The answers of one variant: how many are right, of how many."""

    right: int
    total: int

    @property
    def rate(self) -> float:
        return self.right / self.total


class VariantStrand(msgspec.Struct, frozen=True):
    """A variant of the release by its name, and the strand that it changes."""

    name: str
    strand: Strand
    cause: str


class CaseScene(msgspec.Struct, frozen=True):
    """One failure before it is replayed.

    Attributes:
        missing: The passage's strand, `documents` or `retrieval`, where the prompt doesn't have what the answer should
            state; None where it has, or nothing is known of it.
        cause: Why it is missing.
        tentative: Whether the passage may state it by chance, so that the reference is shown in its place where
            it doesn't help.
        variants: Each changes one strand; those of passages come first.
        whole: Whether `all`, the variant with nothing of the tenant's but the right passage, differs from the release.
        states_facts: Whether it is known what the answer should state.
        knows_voice: Whether the tenant's voice is known.
    """

    missing: Strand | None
    cause: str
    tentative: bool
    variants: Sequence[VariantStrand]
    whole: bool
    states_facts: bool
    knows_voice: bool


class Attribution(msgspec.Struct, frozen=True):
    """The strand at fault and why; `several` are the strands between which it couldn't be decided."""

    strand: Strand
    cause: str
    tallies: dict[str, AnswerTally]
    several: list[Strand] = []


Ask = Callable[[str, int, Aspect], Awaitable[AnswerTally]]
"""Returns the tally of the first so many answers of a variant: `control`, `passages`, `reference`, `all`, or one of the
scene's.

Facts are right where they are stated, and voice is where the facts are right too.
"""


def chance_of(control: AnswerTally, variant: AnswerTally) -> float:
    """Return the probability that a variant is right as often, or more, where it doesn't differ from the control."""
    right, total = control.right + variant.right, control.total + variant.total
    ways = sum(
        comb(variant.total, k) * comb(control.total, right - k)
        for k in range(variant.right, min(variant.total, right) + 1)
        if right - k <= control.total
    )
    return ways / comb(total, right)


async def decide(scene: CaseScene, ask: Ask, samples: int) -> Attribution:
    """Replay a failure and name the strand at fault; variants are asked one after another, and no more than needed."""
    outcomes = _Outcomes(ask, samples)
    if not scene.states_facts and not scene.knows_voice:
        return Attribution("unknown", "nothing_to_judge_by", {})
    control = await outcomes.tally("control")
    if scene.states_facts and control.rate <= 0.5:
        return await _decide_facts(scene, outcomes)
    if not scene.knows_voice:
        return outcomes.conclude("unknown", "not_reproduced")
    outcomes.aspect = "voice"
    if (await outcomes.tally("control")).rate > 0.5:
        return outcomes.conclude("unknown", "not_reproduced")
    return await _decide_voice(scene, outcomes)


async def _decide_facts(scene: CaseScene, outcomes: "_Outcomes") -> Attribution:
    if scene.missing is None:
        return await _decide_rest(scene, outcomes, "control")
    effect = await outcomes.compare("passages", "control")
    if effect == "mends":
        return outcomes.conclude(scene.missing, scene.cause)
    control_effect = await outcomes.compare("reference", "control") if scene.tentative else "same"
    if control_effect == "mends":
        return outcomes.conclude("documents", "missing")
    if "uncertain" in (effect, control_effect):
        return outcomes.conclude("unknown", "uncertain")
    # The passage alone doesn't help; another strand may do so without it, whatever it knows the answer from.
    variants = [VariantStrand(f"{AS_FOUND}{one.name}", one.strand, one.cause) for one in scene.variants]
    if attribution := await _find_mending(variants, outcomes, "control", ()):
        return attribution
    return await _decide_rest(scene, outcomes, "passages")


async def _decide_rest(scene: CaseScene, outcomes: "_Outcomes", control: str) -> Attribution:
    """Decide between the strands that aren't passages, and the base; `control` has the right passage."""
    others: list[Strand] = [] if scene.missing is None else [scene.missing]
    if attribution := await _find_mending(scene.variants, outcomes, control, others):
        return attribution
    if scene.whole and (effect := await outcomes.compare("all", control)) != "same":
        cause = "several" if effect == "mends" else "uncertain"
        return outcomes.conclude("unknown", cause, [one.strand for one in scene.variants])
    if scene.missing is None and scene.tentative and await outcomes.compare("reference", control) != "same":
        return outcomes.conclude("unknown", "several", ["documents", "base"])
    return outcomes.conclude("base", "base" if scene.missing is None else "base_and_passage")


async def _find_mending(
    variants: Sequence[VariantStrand], outcomes: "_Outcomes", control: str, others: Sequence[Strand]
) -> Attribution | None:
    """Return the attribution where a variant mends, or may; `others` are strands that have to be mended with it."""
    effects = {one: await outcomes.compare(one.name, control) for one in variants}
    mending = [one for one, effect in effects.items() if effect == "mends"]
    if mending:
        best = outcomes.choose(mending)
        if others or len(best) > 1:
            return outcomes.conclude("unknown", "several", [*others, *(one.strand for one in best)])
        return outcomes.conclude(best[0].strand, best[0].cause)
    return outcomes.conclude("unknown", "uncertain") if "uncertain" in effects.values() else None


async def _decide_voice(scene: CaseScene, outcomes: "_Outcomes") -> Attribution:
    """Decide on right facts in another voice: that is style's, unless another prompt alone brings the voice back."""
    effects = {
        one: await outcomes.compare(one.name, "control") for one in scene.variants if one.strand in ("prompt", "style")
    }
    mending = [one for one, effect in effects.items() if effect == "mends"]
    if mending:
        best = outcomes.choose(mending)
        if len(best) > 1:
            return outcomes.conclude("unknown", "several", [one.strand for one in best])
        cause = "voice" if best[0].strand == "style" else best[0].cause
        return outcomes.conclude(best[0].strand, cause)
    if any(effect == "uncertain" and one.strand == "prompt" for one, effect in effects.items()):
        return outcomes.conclude("unknown", "uncertain")
    return outcomes.conclude("style", "voice")


class _Outcomes:
    """The answers of one failure's variants, so far as they were needed."""

    def __init__(self, ask: Ask, samples: int) -> None:
        self._ask = ask
        self._samples = samples
        self._tallies: dict[tuple[Aspect, str], AnswerTally] = {}
        self.aspect: Aspect = "facts"

    async def tally(self, name: str, samples: int = 0) -> AnswerTally:
        """Return a variant's tally, of at least so many answers."""
        key: tuple[Aspect, str] = (self.aspect, name)
        samples = samples or self._samples
        tally = self._tallies.get(key)
        if tally is None or tally.total < samples:
            self._tallies[key] = tally = await self._ask(name, samples, self.aspect)
        return tally

    async def compare(self, name: str, control: str) -> Effect:
        """Compare a variant with its control; where they are too few to decide, by twice as many answers."""
        for samples in (self._samples, 2 * self._samples):
            variant = await self.tally(name, samples)
            if variant.rate <= 0.5:
                return "same"
            if chance_of(await self.tally(control, samples), variant) <= _CHANCE:
                return "mends"
        return "uncertain"

    def choose(self, mending: Sequence[VariantStrand]) -> list[VariantStrand]:
        """Return one variant per strand that mends, the best first; only the first where the others are worse."""
        ranked = sorted(mending, key=lambda one: -self._tallies[self.aspect, one.name].rate)
        best = list({one.strand: one for one in reversed(ranked)}.values())[::-1]
        first = self._tallies[self.aspect, best[0].name]
        rivals = [one for one in best[1:] if chance_of(self._tallies[self.aspect, one.name], first) > _CHANCE]
        return [best[0], *rivals]

    def conclude(self, strand: Strand, cause: str, several: Sequence[Strand] = ()) -> Attribution:
        own = {name: tally for (aspect, name), tally in self._tallies.items() if aspect == self.aspect}
        return Attribution(strand, cause, own, list(dict.fromkeys(several)))
