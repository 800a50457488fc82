"""One failure from its passages to its attribution."""

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

import prompts
from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.diagnoses.answer_judge import Voice, find_expected
from gateway.diagnoses.attribution import AS_FOUND, AnswerTally, Aspect, Attribution, CaseScene, VariantStrand, decide
from gateway.diagnoses.cases import Case
from gateway.diagnoses.passage_finder import PassageFinder, PassagePlace
from gateway.diagnoses.replay import Replay
from gateway.diagnoses.report import DiagnosedCase
from gateway.diagnoses.variants import ReleaseVariants
from gateway.errors import BadRequest

__all__ = ["LEAST_WORDS", "CaseDiagnosis", "learn_voice"]

LEAST_WORDS = 4
"""Of a reference that teaches the voice: a bare value, as evals have it, has none."""
_LEAST_MATCHING = 0.5
_ALONE = VariantStrand("alone", "retrieval", "distractors")


class CaseDiagnosis:
    """Diagnoses failures of one release."""

    def __init__(
        self, finder: PassageFinder, replay: Replay, voice: Voice, release: ReleaseVariants, samples: int
    ) -> None:
        self._finder = finder
        self._replay = replay
        self._voice = voice
        self._release = release
        self._samples = samples

    async def diagnose(self, case: Case) -> DiagnosedCase:
        """Replay a failure.

        Raises:
            EngineError: No engine answered.
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
        """
        try:
            return await self._diagnose(case)
        except BadRequest as error:
            if error.code != "context_length_exceeded":
                raise
            return DiagnosedCase(case, Attribution("unknown", "too_long", {}), None)

    async def _diagnose(self, case: Case) -> DiagnosedCase:
        facts, release = find_expected(case), self._release
        place = await self._finder.find(case, facts, partial(self._replay.list_used, release.target))
        alone = [_ALONE] if place.missing is None and place.crowded else []
        scene = CaseScene(
            missing=place.missing,
            cause=place.cause,
            tentative=place.tentative,
            variants=[*alone, *(one.outline for one in release.variants)],
            whole=bool(alone) or release.bare != release.target,
            states_facts=bool(facts),
            knows_voice=self._voice.has_rules,
        )

        async def ask(name: str, samples: int, aspect: Aspect) -> AnswerTally:
            target, evidence = self._choose(name, place)
            return await self._replay.count_right(target, case, facts, evidence, samples, aspect)

        return DiagnosedCase(case, await decide(scene, ask, self._samples), place)

    def _choose(self, name: str, place: PassagePlace) -> tuple[Target, Evidence]:
        """Return what answers as a variant, and the passages that it is shown."""
        target = self._release.target
        if name == "control":
            return target, place.evidence
        if name == "alone":
            return target, place.isolate()
        if name == "reference":
            return _let_show(target), place.tell()
        if name == "all":
            return _let_show(self._release.bare), place.isolate() if place.passages else place.evidence
        evidence = place.evidence
        if name.startswith(AS_FOUND):
            return self._release.find(name.removeprefix(AS_FOUND)), evidence
        if place.missing is not None:
            evidence = place.fill(target.retrieval.top_k if target.retrieval else 1)
        target = target if name == "passages" else self._release.find(name)
        return _let_show(target) if place.missing is not None else target, evidence


def learn_voice(failures: Sequence[Case], passes: Sequence[Case]) -> Voice:
    """Learn the voice from the references; one that most answers that passed don't have is none."""
    replies = [one.reference for one in (*failures, *passes) if len(one.reference.split()) >= LEAST_WORDS]
    voice = Voice(replies)
    answers = [one.answer for one in passes if one.answer]
    if answers and sum(map(voice.matches, answers)) < _LEAST_MATCHING * len(answers):
        return Voice(())
    return voice


def _let_show(target: Target) -> Target:
    """Return a target that shows passages: without a prompt the client's messages go on as they are."""
    return target if target.prompt is not None else replace(target, prompt=prompts.compile(prompts.DEFAULT))
