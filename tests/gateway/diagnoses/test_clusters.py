"""Clusters of failures, and what an answer is judged by."""

import pytest

from gateway.answering.question import Message
from gateway.diagnoses.answer_judge import Voice, find_expected
from gateway.diagnoses.cases import Case
from gateway.diagnoses.clusters import ClusterMember, make_clusters
from gateway.diagnoses.proposals import compute_sign_chance


def item(id: int, strand: str, question: str, cause: str = "limit") -> ClusterMember:
    return ClusterMember(str(id), strand, cause, question, "")  # type: ignore[arg-type]


def test_failures_of_one_strand_and_topic_come_together() -> None:
    warranties = [item(n, "retrieval", f"How long is the warranty of the {name}?") for n, name in enumerate("ABCD")]
    ferries = [
        item(10 + n, "retrieval", f"When does the ferry to {name} leave?") for n, name in enumerate(("Oban", "Mull"))
    ]
    prompts = [item(20, "prompt", "How long is the warranty of the kettle?", "instructions")]
    clusters = make_clusters([*warranties, *ferries, *prompts])
    assert [(one.strand, one.size) for one in clusters] == [("retrieval", 4), ("retrieval", 2), ("prompt", 1)]
    assert clusters[0].cases == ["0", "1", "2", "3"]
    assert "ferry" in clusters[1].words
    assert "ferry" not in clusters[0].words
    assert clusters[0].causes == {"limit": 4}
    assert len(clusters[0].examples) == 3


def test_nothing_and_wordless_questions_cluster_too() -> None:
    assert make_clusters([]) == []
    assert [one.size for one in make_clusters([item(1, "base", "?"), item(2, "base", "!")])] in ([2], [1, 1])


def make_case(reference: str = "", expected: list[str] | None = None, question: str = "How long?") -> Case:
    return Case(id="1", messages=[Message("user", question)], reference=reference, expected=expected or [])


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        (make_case("It is 24 months."), "24 months [1]", "36 months"),
        (make_case(expected=["£49"]), "That costs 49 pounds.", "That costs £490."),
        (make_case(expected=["Blue Harbour"]), "It is the blue harbour.", "It is the Blue Lagoon."),
        (make_case(expected=["24 months", "2 kg"]), "24 months, and 2 kg", "24 months"),
        (make_case("The 2 kg one has 24 months.", question="And the 2 kg one?"), "24 months", "2 kg"),
        (make_case("Yes, 2 kg.", question="Is it 2 kg?"), "2 kg it is", "3 kg"),
    ],
)
def test_an_answer_is_right_where_it_states_what_is_expected(case: Case, right: str, wrong: str) -> None:
    expected = find_expected(case)
    assert expected
    assert expected.is_stated_in(right)
    assert not expected.is_stated_in(wrong)


def test_a_reference_without_values_says_nothing_of_facts() -> None:
    assert not find_expected(make_case("We don't ship there."))


def test_a_voice_is_learnt_from_ten_replies() -> None:
    replies = [f"Hello! It is {n} months. Cheers, your Kestrel team" for n in range(12)]
    voice = Voice(replies)
    assert voice.has_rules
    assert voice.matches("Hello! That weighs 2 kg [1]. Cheers, your Kestrel team")
    assert not voice.matches("It weighs 2 kg.")
    assert not Voice(replies[:9]).has_rules
    assert Voice(()).matches("Anything.")


def test_five_mended_failures_are_the_fewest_beyond_chance() -> None:
    assert compute_sign_chance(5, 0) == pytest.approx(1 / 32)
    assert compute_sign_chance(4, 0) > 0.05
    assert compute_sign_chance(7, 1) <= 0.05 < compute_sign_chance(7, 2)
