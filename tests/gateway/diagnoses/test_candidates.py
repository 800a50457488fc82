"""The settings of a release that are changed for each cause of a failed retrieval, and the request that makes them."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.assistants.release import AdapterRef, Boost, PromptRef, ReleaseSpec, RetrievalSpec
from gateway.diagnoses.candidates import DiagnosedPlace, list_candidates
from gateway.diagnoses.cases import Strand
from gateway.diagnoses.passage_finder import PassagePlace
from gateway.diagnoses.variants import ReleaseVariant, ReleaseVariants, to_request
from retrieval.messages import Passage

SPEC = RetrievalSpec(("vs_1",), top_k=5, score_threshold=0.5, least_probability=0.6)
RULES: dict[str, Any] = {"boosts": (Boost("area", 0.2, "north"),), "max_per_document": 1, "collapse_duplicates": True}


def passage(id: str, score: float = 0.4) -> Passage:
    where: dict[str, Any] = {"store": "vs_1", "document": "d", "key": "d.md", "version": 1, "file_id": "f"}
    return Passage(
        id=id, filename="d.md", text="24 months", start=0, end=9, heading="", score=score, attributes={}, **where
    )


def place(cause: str, rank: int | None = None, probability: float | None = None, *scores: float) -> DiagnosedPlace:
    passages = tuple(passage(str(at), score) for at, score in enumerate(scores or (0.4,)))
    return DiagnosedPlace(
        cause, PassagePlace(Evidence("found"), "retrieval", cause, passages, rank=rank, probability=probability)
    )


def release(spec: RetrievalSpec | None = SPEC, *variants: ReleaseVariant) -> ReleaseVariants:
    target = Target("base", retrieval=spec)
    return ReleaseVariants("desk@1", ReleaseSpec("base", "", None, None, "", spec, {}), target, variants, target)


def mend(*places: DiagnosedPlace, spec: RetrievalSpec = SPEC) -> RetrievalSpec | None:
    """Return the settings that are proposed; None where there is no proposal."""
    candidates = list_candidates("retrieval", release(spec), places)
    if not candidates:
        return None
    (candidate,) = candidates
    changed = candidate.target.retrieval
    assert changed is not None
    assert candidate.request.retrieval is not None
    assert candidate.request.retrieval.top_k == changed.top_k, "the release that is made is the one that was measured"
    assert candidate.change
    return changed


@pytest.mark.parametrize(
    ("spec", "places", "changes"),
    [
        (SPEC, [place("limit", 7), place("limit", 9)], {"top_k": 9}),
        (SPEC, [place("limit", 70)], {"top_k": 50}),
        (SPEC, [place("abstention", 2, 0.4), place("abstention", 1, 0.5)], {"least_probability": 0.36}),
        (SPEC, [place("abstention", 8, 0.4)], {"least_probability": 0.36, "top_k": 8}),
        (SPEC, [place("abstention", 2, None)], {"least_probability": UNSET}),
        (SPEC, [place("score_threshold", 2)], {"score_threshold": 0.36}),
        (SPEC, [place("score_threshold", 6), place("score_threshold", 1, None, 0.3)],
         {"score_threshold": 0.27, "top_k": 6}),
        (replace(SPEC, filters={"type": "eq"}), [place("filters", 3)], {"filters": UNSET}),
        (replace(SPEC, when="auto"), [place("search_decision", 1)], {"when": UNSET}),
        (replace(SPEC, **RULES), [place("ranking_rules", 12)], {**dict.fromkeys(RULES, UNSET), "top_k": 12}),
        (replace(SPEC, **RULES), [place("ranking_rules", 3)], dict.fromkeys(RULES, UNSET)),
        (SPEC, [place("chunking")], {"expand": "section"}),
        (SPEC, [place("distractors", 2), place("distractors", 3)], {"top_k": 3}),
    ],
)  # fmt: skip
def test_each_cause_changes_the_settings_that_kept_its_passages_out(
    spec: RetrievalSpec, places: list[DiagnosedPlace], changes: dict[str, Any]
) -> None:
    assert mend(*places, spec=spec) == replace(spec, **changes)


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        (SPEC, [place("limit", 5)]),  # the passage is among them already
        (SPEC, [place("context", 9)]),
        (SPEC, [place("filters", 3)]),  # of the request: the release has none
        (replace(SPEC, expand="neighbours"), [place("chunking")]),
        (SPEC, [place("distractors", 5)]),
        (SPEC, [place("ranking")]),
        (SPEC, []),
    ],
)
def test_a_cause_that_no_setting_mends_has_no_proposal(spec: RetrievalSpec, places: list[DiagnosedPlace]) -> None:
    assert mend(*places, spec=spec) is None


def test_a_threshold_lets_in_each_passage_that_an_answer_needs() -> None:
    changed = mend(place("score_threshold", 2, None, 0.2, 0.7))
    assert changed is not None
    assert changed.score_threshold == 0.18, "of the lowest of a failure's passages, whichever of them comes last"


def test_a_cause_of_few_failures_changes_nothing_and_a_limit_is_not_lowered_where_it_was_too_low() -> None:
    rare = [place("limit", 9)] * 5 + [place("chunking")]
    assert mend(*rare) == replace(SPEC, top_k=9)
    assert mend(*rare[1:]) == replace(SPEC, top_k=9, expand="section"), "a fifth of the failures is enough"
    assert mend(place("limit", 9), place("distractors", 2)) == replace(SPEC, top_k=9)


@pytest.mark.parametrize("strand", ["prompt", "style"])
def test_the_variants_of_a_strand_are_its_candidates(strand: Strand) -> None:
    spec = ReleaseSpec("base", "", None, None, "", None, {})
    strands: dict[str, Strand] = {"a": "prompt", "b": "style", "c": "prompt"}
    variants = [ReleaseVariant(name, own, "x", name, Target("base"), to_request(spec)) for name, own in strands.items()]
    names = [one.name for one in list_candidates(strand, release(None, *variants), [])]
    assert names == {"prompt": ["a", "c"], "style": ["b"]}[strand]


@pytest.mark.parametrize("strand", ["documents", "base", "unknown", "retrieval"])
def test_without_a_setting_to_change_there_is_no_candidate(strand: Strand) -> None:
    assert list_candidates(strand, release(None), [place("limit", 9)]) == []


def test_the_request_of_a_spec_has_all_of_its_parts() -> None:
    spec = ReleaseSpec(
        "base",
        "sha256:b",
        AdapterRef("ft:base:k:x:1", "k.x.1", "sha256:a"),
        PromptRef("tone", 3, "sha256:p"),
        "",
        replace(SPEC, **RULES, mode="degrade", links="any", when="auto", rewrite="always", rerank=True),
        {"temperature": 0.2},
        {"team": "Kestrel"},
    )
    request = to_request(spec)
    assert (request.adapter, request.prompt, request.variables) == ("ft:base:k:x:1", "tone@3", {"team": "Kestrel"})
    assert request.sampling.model_dump(exclude_none=True) == {"temperature": 0.2}
    options = request.retrieval
    assert options is not None
    assert options.model_dump(exclude={"boosts"}) == {
        **{"vector_stores": ["vs_1"], "top_k": 5, "score_threshold": 0.5, "mode": "degrade", "filters": None},
        **{"least_probability": 0.6, "rerank": True, "links": "any", "when": "auto", "rewrite": "always"},
        **{"max_per_document": 1, "collapse_duplicates": True, "expand": "none", "passage_characters": None},
    }
    assert [boost.model_dump(exclude_none=True) for boost in options.boosts] == [
        {"attribute": "area", "weight": 0.2, "value": "north"}
    ]


def test_what_is_unset_in_a_spec_is_asked_for_as_it_was_and_not_by_todays_defaults() -> None:
    options = to_request(ReleaseSpec("base", "", None, None, "", RetrievalSpec(("vs_1",)), {})).retrieval
    assert options is not None
    assert (options.least_probability, options.when, options.rewrite, options.links, options.boosts) == (
        *(0.0, "always", "never", "given"),
        [],
    )
