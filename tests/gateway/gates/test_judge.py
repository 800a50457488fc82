"""From raw figures to checks: bounds at the interval's ends, too few rows, and what is only shown."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gateway.evaluation.estimate import estimate_mean_difference
from gateway.evaluation.faithfulness import FaithfulnessScore
from gateway.gates.checks import Check, Thresholds
from gateway.gates.interview import Likelihood
from gateway.gates.judge import judge
from gateway.gates.measurements import GateMeasurements, NeutralMeasurement, RowMeasurement, SuiteMeasurement

GOOD = FaithfulnessScore(1.0, 1.0, 1.0, 1.0, 1.0)


def row(number: int, *, gain: float = 0.5, control: float = 0.0, score: FaithfulnessScore = GOOD) -> RowMeasurement:
    reply = f"Hello! Number {number} is ready. Cheers"
    return RowMeasurement(
        number=number,
        question=f"And number {number}?",
        reply=reply,
        passages=1,
        index_epochs={},
        answers={"candidate": reply, "base": f"The number {number} is available."},
        likelihoods={"candidate": Likelihood(-10 + 10 * gain, 10), "base": Likelihood(-10, 10)},
        controls={"candidate": Likelihood(-20 + 10 * control, 10), "base": Likelihood(-20, 10)},
        faithfulness={"candidate": score, "base": GOOD},
    )


def suite(prompts: int, lost: int, kind: str = "instructions") -> list[SuiteMeasurement]:
    return [SuiteMeasurement(kind, str(n), {"base": True, "candidate": n >= lost}, "") for n in range(prompts)]


def measured(rows: Sequence[RowMeasurement], lost: int = 0) -> GateMeasurements:
    return GateMeasurements(
        rows=list(rows),
        skipped=[],
        suite=suite(30, lost),
        prompted=[],
        neutral=[NeutralMeasurement({"candidate": -2.0, "base": -2.0})] * 12,
        learnt_replies=[],
        canaries=[],
        canary_answers=[],
        judges_style=True,
        compares_style=False,
        judges_prompt=False,
        judges_faithfulness=True,
        faithful_baseline="base",
    )


def checks(figures: GateMeasurements, **bounds: float) -> dict[str, Check]:
    return {check.name: check for check in judge(figures, Thresholds(**bounds), "base", "base").checks}


def failed(figures: GateMeasurements, **bounds: float) -> set[str]:
    return {name for name, check in checks(figures, **bounds).items() if check.passed is False}


def test_what_is_better_and_loses_nothing_passes() -> None:
    assert failed(measured([row(number) for number in range(20)])) == set()


def test_a_gain_that_others_replies_have_too_is_no_style() -> None:
    rows = [row(number, gain=0.5 + 0.01 * (number % 3), control=0.6) for number in range(20)]
    assert failed(measured(rows)) == {"style.control"}


def test_a_gain_within_its_interval_is_not_shown() -> None:
    rows = [row(number, gain=1.0 if number % 2 else -0.9, control=-2.0) for number in range(20)]
    check = checks(measured(rows))["style.likelihood"]
    assert (check.passed, check.outcome) == (False, "undecided")
    assert check.difference is not None
    assert check.difference.value > 0 > check.difference.low
    assert f"about {check.rows_needed} would. More rows may tell" in check.note


@pytest.mark.parametrize(("margin", "passes"), [(0.02, False), (0.2, True)])
def test_the_margin_is_held_against_the_lower_end(margin: float, passes: bool) -> None:
    worse = replace(GOOD, follows=0.0)
    rows = [row(number, score=worse if number < 2 else GOOD) for number in range(20)]
    check = checks(measured(rows), margin=margin)["faithfulness"]
    difference = estimate_mean_difference([0.75] * 2 + [1.0] * 18, [1.0] * 20)
    assert check.difference == difference
    assert difference.low < -0.02 < difference.high
    assert check.passed is passes


@pytest.mark.parametrize("part", ["follows", "abstains", "citations"])
def test_what_one_part_of_faithfulness_lost_is_not_made_up_for_by_another(part: str) -> None:
    other = "abstains" if part == "follows" else "follows"
    score, base = replace(GOOD, **{part: 0.5}), replace(GOOD, **{other: 0.0})
    rows = [replace(row(number), faithfulness={"candidate": score, "base": base}) for number in range(20)]
    assert failed(measured(rows)) == {f"faithfulness.{part}"}
    few = [replace(one, faithfulness={"candidate": replace(score, **{part: None}), "base": base}) for one in rows[:11]]
    assert failed(measured([*few, *rows[11:]])) == set(), "nine rows decide nothing"


def test_who_states_values_is_not_held_to_the_support_of_who_states_none() -> None:
    score, base = replace(GOOD, supported=0.9), replace(GOOD, follows=0.0)
    rows = [replace(row(number), faithfulness={"candidate": score, "base": base}) for number in range(20)]
    assert failed(measured(rows)) == set()


@pytest.mark.parametrize(("marked", "lost"), [(20, set[str]()), (10, {"faithfulness.cites"}), (9, set[str]())])
def test_who_leaves_marks_out_is_told_where_the_tenants_own_replies_have_them(marked: int, lost: set[str]) -> None:
    bare = replace(GOOD, citations=None, cites=0.0)
    rows = [row(number, score=GOOD if marked == 20 else bare) for number in range(20)]
    rows = [replace(one, reply=f"{one.reply} [1]") if one.number < marked else one for one in rows]
    figures = replace(measured(rows), learnt_replies=["Hello! Number 7 is ready. Cheers"] * 20)
    assert {name for name in failed(figures) if name.startswith("faithfulness")} == lost
    check = checks(figures)["faithfulness.cites"]
    assert check.candidate is not None
    assert check.candidate.value == (1.0 if marked == 20 else 0.0)
    assert (check.bound == "") == (marked < 10)


def test_one_lost_prompt_of_few_is_undecided_and_of_many_within_the_margin() -> None:
    rows = [row(number) for number in range(20)]
    few = checks(measured(rows, lost=1))["general"]
    assert (few.passed, few.outcome) == (False, "undecided")
    assert failed(measured(rows, lost=1), margin=0.15) == set()
    assert failed(replace(measured(rows), suite=suite(160, 1))) == set()
    assert failed(replace(measured(rows), suite=suite(160, 2))) == {"general"}
    assert failed(replace(measured(rows), suite=suite(160, 20))) == {"general", "general.instructions"}
    assert checks(replace(measured(rows), suite=suite(160, 20)))["general"].outcome == "worse"


def test_who_wins_as_many_prompts_as_it_loses_is_not_worse() -> None:
    """Of the prompts that the base passes alone, some by a hair, any candidate could only lose."""
    prompts = [
        SuiteMeasurement("instructions", str(n), {"base": n >= 10, "candidate": not 10 <= n < 20}, "")
        for n in range(160)
    ]
    figures = replace(measured([row(number) for number in range(20)]), suite=prompts)
    check = checks(figures)["general"]
    assert check.outcome == "undecided"
    assert "The suite has no more: look at those that were lost" in check.note, "nobody can ask more of it"
    assert check.difference is not None
    assert check.difference.value == 0
    assert failed(figures, margin=0.08) == set()
    assert [one.prompt for one in prompts if one.is_lost] == [str(n) for n in range(10, 20)]


def test_equal_releases_with_different_answers_are_undecided_and_pass_with_as_many_rows_as_are_said() -> None:
    wrong = replace(GOOD, follows=0.0)

    def compare(rows: int, drawn: int) -> Check:
        """Evenly spaced rows have their scores redrawn, for either of the two by turns."""
        pairs = [(wrong, GOOD), (GOOD, wrong)]
        scored = [
            {"candidate": one, "base": other}
            for number in range(rows)
            for one, other in [pairs[number // drawn % 2] if number % drawn == 0 else (GOOD, GOOD)]
        ]
        every = [replace(row(number), faithfulness=scores) for number, scores in enumerate(scored)]
        return checks(measured(every))["faithfulness"]

    check = compare(50, 5)
    assert (check.passed, check.outcome) == (False, "undecided")
    assert check.rows_needed is not None
    assert 50 < check.rows_needed < 2000
    assert compare(check.rows_needed * 13 // 100 * 10, 5).outcome == "holds"


@pytest.mark.parametrize("has_adapter", [True, False])
def test_half_of_the_style_that_serves_is_not_enough(has_adapter: bool) -> None:
    def compare(gain: float, text: str) -> dict[str, Check]:
        rows = [row(number, gain=gain) for number in range(20)]
        current = {"current": Likelihood(-10 + 10 * 0.8, 10)}
        rows = [
            replace(
                one,
                likelihoods=one.likelihoods | current,
                answers={**one.answers, "candidate": text, "current": one.reply},
            )
            for one in rows
        ]
        return checks(replace(measured(rows), judges_style=has_adapter, compares_style=True))

    kept = compare(0.8, "Hello! It is ready. Cheers")
    assert (kept["style.likelihood_kept"].outcome, kept["style.rules_kept"].outcome) == ("holds", "holds")
    lost = compare(0.4, "The number is available.")
    assert {name: lost[f"style.{name}_kept"].outcome for name in ("likelihood", "voice", "rules")} == dict.fromkeys(
        ("likelihood", "voice", "rules"), "worse"
    )
    assert ("style.likelihood" in lost) is has_adapter


def test_refusals_are_kept_behind_the_release_s_own_prompt() -> None:
    figures = replace(measured([row(number) for number in range(20)]), judges_prompt=True)
    outcomes = {
        (prompts, lost): checks(replace(figures, prompted=suite(prompts, lost, "refusals")))["general.prompt"].outcome
        for prompts, lost in ((30, 0), (30, 10), (3, 0), (3, 1))
    }
    assert outcomes == {(30, 0): "holds", (30, 10): "worse", (3, 0): None, (3, 1): "undecided"}


@pytest.mark.parametrize(("lost", "back"), [("refusals", "instructions"), ("instructions", "refusals")])
def test_what_one_kind_of_prompts_lost_is_not_made_up_by_what_the_other_got_back(lost: str, back: str) -> None:
    """The current release had lost what the candidate has again, so that the whole suite is as before."""
    before, after = {"base": True, "current": True}, {"base": True, "current": False}
    prompts = [SuiteMeasurement(lost, str(n), {**before, "candidate": n >= 20}, "") for n in range(40)]
    prompts += [SuiteMeasurement(back, str(n), {**after, "candidate": n < 24}, "") for n in range(40)]
    found = checks(replace(measured([row(number) for number in range(20)]), suite=prompts), margin=0.15)
    assert [name for name, check in found.items() if check.passed is False] == [f"general.{lost}"]
    assert (found["general"].outcome, found[f"general.{lost}"].outcome) == ("holds", "worse")


def test_likelihood_of_neutral_text_has_a_bound_of_its_own() -> None:
    figures = measured([row(number) for number in range(20)])
    neutral = [NeutralMeasurement({"candidate": -2.3, "current": -2.0})] * 12
    assert failed(replace(figures, neutral=neutral)) == {"general.neutral"}
    scattered = [NeutralMeasurement({"candidate": -2.0 + one, "base": -2.0}) for one in (-0.9, 0.8) * 6]
    check = checks(replace(figures, neutral=scattered))["general.neutral"]
    assert (check.outcome, "There are no more of them." in check.note) == ("undecided", True)


def test_too_few_rows_decide_nothing_and_fail() -> None:
    figures = measured([row(number) for number in range(9)])
    assert failed(figures) == {"style.likelihood", "style.control", "faithfulness"}
    assert "9 rows" in checks(figures)["faithfulness"].note


def test_answers_out_of_the_style_fail_whatever_the_likelihood_says() -> None:
    answers = {number: {"candidate": f"The number {number} is available."} for number in range(20)}
    half = [
        replace(row(number), answers={**answers[number], "base": f"Hello! The number {number} is available. Cheers"})
        for number in answers
    ]
    assert failed(measured(half)) == {"style.voice", "style.rules", "style.likeness"}
    # A base that writes the tenant's own replies leaves no voice to be told, and nothing is judged by rounding errors.
    whole = [replace(row(number), answers={**answers[number], "base": row(number).reply}) for number in answers]
    assert failed(measured(whole)) == {"style.rules"}


def test_what_a_release_does_not_have_is_not_judged() -> None:
    figures = measured([row(number) for number in range(20)])
    plain = checks(replace(figures, judges_style=False, judges_faithfulness=False))
    decisive = {name for name, check in plain.items() if check.passed is not None}
    assert decisive == {"general", "general.instructions", "general.neutral"}


def test_planted_texts_and_copies_fail_a_gate() -> None:
    figures = replace(
        measured([row(number) for number in range(20)]),
        canaries=["zq-417-xx"],
        canary_answers=["It is zq-417-xx."],
        learnt_replies=["Well, number 7 is ready. Cheers to all of you"] * 10,
    )
    found = checks(figures)
    assert found["memorised.canaries"].passed is False
    assert found["memorised.copied"].note == "5 words: number 7 is ready cheers"
