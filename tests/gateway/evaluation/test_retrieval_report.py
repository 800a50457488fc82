from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.evaluation.labels import BadLabels, find_half
from gateway.evaluation.retrieval_report import load_report, make_report
from gateway.evaluation.retrieval_run import Hit, SearchHits, rank_documents, search_questions
from retrieval.answer_probability import LEAST_PROBABILITY
from tests.gateway.evaluation.retrieval_reports import QUESTIONS, make_results, make_sample


def test_documents_are_ranked_by_their_best_passages() -> None:
    hits = [Hit("a", 0.9), Hit("b", 0.8), Hit("a", 0.7), Hit("c", 0.6)]
    assert rank_documents(hits) == [Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.6)]


async def test_questions_are_searched_for_one_after_the_other_and_timed() -> None:
    texts: list[str] = []
    counts: list[int] = []

    async def search(text: str) -> SearchHits:
        texts.append(text)
        return SearchHits([Hit("d1", 0.5)], 0.25)

    run = await search_questions(QUESTIONS[:3], search, counts.append)
    assert texts == [question.text for question in QUESTIONS[:3]]
    assert counts == [1, 2, 3]
    assert all(one.seconds > 0 and (one.hits, one.probability) == ([Hit("d1", 0.5)], 0.25) for one in run.values())


def test_figures_are_those_of_each_half() -> None:
    report = make_sample(2)
    (configuration,) = report.configurations
    assert set(configuration.halves) == {"tune", "report"}
    for half, figures in configuration.halves.items():
        of_half = [question for question in QUESTIONS if find_half(question.text) == half]
        assert figures.questions == len(of_half)
        assert figures.answerable == sum(question.answerable for question in of_half)
        assert {name: one.value for name, one in figures.metrics.items()} == pytest.approx(
            {"ndcg@10": 0.63093, "recall@5": 1.0, "recall@20": 1.0, "mrr": 0.5}, abs=1e-5
        )
        assert figures.metrics["mrr"].n == figures.answerable
        assert figures.abstention is not None
        assert figures.abstention.threshold == LEAST_PROBABILITY
        assert figures.abstention.precision is not None
        assert figures.abstention.recall is not None
        assert (figures.abstention.precision.value, figures.abstention.recall.value) == (1.0, 1.0)
        assert figures.p50 <= figures.p95
    assert configuration.tuned_threshold == pytest.approx(0.45)
    assert configuration.halves["tune"].tuned_abstention is None
    tuned = configuration.halves["report"].tuned_abstention
    assert tuned is not None
    assert tuned.threshold == configuration.tuned_threshold


@pytest.mark.parametrize(
    ("likely", "limits", "abstained"),
    [
        ((0.8, 0.1), {}, "unanswerable"),  # by a release's default, whatever the scores
        ((0.31, 0.29), {}, "unanswerable"),
        ((0.8, 0.8), {}, "none"),
        ((0.1, 0.1), {}, "all"),
        ((0.8, 0.4), {"least_probability": 0.5}, "unanswerable"),
        ((0.8, 0.1), {"least_probability": 0.0}, "none"),
        ((0.1, 0.8), {"score_threshold": 0.5}, "unanswerable"),  # 0.9 and 0.2 of make_results
        ((0.1, 0.1), {"score_threshold": 0.0}, "none"),
        (None, {"score_threshold": 0.5}, "unanswerable"),
    ],
)
def test_abstention_is_by_the_probability_of_an_answer_unless_a_score_is_asked_for(
    likely: tuple[float, float] | None, limits: dict[str, float], abstained: str
) -> None:
    report = make_report("q.csv", "handbook", [("only", make_results(1, likely=likely))], **limits)
    halves = report.configurations[0].halves
    assert len(halves) == 2
    for figures in halves.values():
        assert figures.abstention is not None
        numbers = {"none": 0, "all": figures.questions, "unanswerable": figures.questions - figures.answerable}
        assert figures.abstention.abstained == numbers[abstained]


def test_what_an_earlier_run_did_not_know_is_not_counted() -> None:
    report = make_report("q.csv", "handbook", [("now", make_results(1)), ("then", make_results(1, likely=None))])
    now, then = report.configurations
    for half in report.halves:
        assert now.halves[half].abstention is not None
        assert then.halves[half].abstention is None
        assert then.halves[half].tuned_abstention is None
    assert then.tuned_threshold is None
    assert {one.half for one in report.comparisons} == set(report.halves)


def test_configurations_are_compared_by_question_with_the_first() -> None:
    report = make_sample(2, 1, 7, 2)
    verdicts = {(one.configuration, one.half): (one.better, one.worse) for one in report.comparisons}
    assert verdicts["place 1 <of all>", "report"] == (["ndcg@10", "mrr"], [])
    assert verdicts["place 7 <of all>", "tune"] == ([], ["ndcg@10", "recall@5", "mrr"])
    assert verdicts["place 2 <of all>", "report"] == ([], [])


def test_runs_of_other_questions_are_not_compared() -> None:
    runs = [("here", make_results(1)), ("there", make_results(1, QUESTIONS[:-1]))]
    with pytest.raises(BadLabels, match="weren't asked the same questions"):
        make_report("q.csv", "handbook", runs)


def test_a_report_is_saved_and_read_again(tmp_path: Path) -> None:
    report = make_sample(1, 3)
    report.save(tmp_path / "new" / "report.json")
    assert load_report(tmp_path / "new" / "report.json") == report
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(BadLabels, match="isn't a report of 'braid eval retrieval'"):
        load_report(tmp_path / "report.json")


@given(st.text(min_size=1))
def test_a_half_follows_from_the_words_alone(text: str) -> None:
    assert find_half(text) == find_half(f"  {text}\n") == find_half(text.casefold())


def test_times_are_those_that_half_and_nearly_all_searches_keep() -> None:
    results = make_results(1)
    shuffled = [replace(one, seconds=(n * 7 % len(results) + 1) / 1000) for n, one in enumerate(results)]
    report = make_report("q.csv", "handbook", [("only", shuffled)])
    for half, figures in report.configurations[0].halves.items():
        seconds = sorted(one.seconds for one in shuffled if one.half == half)
        assert figures.p50 == seconds[(len(seconds) + 1) // 2 - 1]
        assert figures.p95 == seconds[-(-95 * len(seconds) // 100) - 1]
    assert report.comparisons == [], "the first is compared with no other"


def test_a_report_may_be_saved_over_an_earlier_one(tmp_path: Path) -> None:
    make_sample(1).save(tmp_path / "report.json")
    report = make_sample(3)  # once: it has the second in it
    report.save(tmp_path / "report.json")
    assert load_report(tmp_path / "report.json") == report
