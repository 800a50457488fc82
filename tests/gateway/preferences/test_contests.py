"""Who wins between two replies, and why many a contest makes no pair."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.answers.record import AnswerRecord, CitedPassage, Timings, digest_conversation
from gateway.feedback import FeedbackRow
from gateway.preferences.contest import Contest, LeftOut, VoteRules, find_winner
from gateway.preferences.dataset import PairChoice, PreferencePair, encode_pairs, split_pairs
from gateway.preferences.feedback_contests import list_feedback_contests
from training.preference_rows import read_preference_rows

RULES = VoteRules(2, 0.66)
ASKED = [{"role": "user", "content": "Where is it?"}]
OTHER = digest_conversation([("user", "Where is it now?")])


def contest(*votes: int, replies: tuple[str, str] = ("one", "two"), **more: Any) -> Contest:
    values: dict[str, Any] = {"messages": ASKED, "answers": ("first", "second"), **more}
    return Contest(replies=replies, votes=(votes[0], votes[1], votes[2]), **values)


def choose(
    contests: Sequence[Contest], records: Mapping[str, AnswerRecord], rules: VoteRules = RULES
) -> tuple[list[PreferencePair], Counter[LeftOut]]:
    choice = PairChoice(rules)
    choice.take(contests, records)
    return choice.pairs, choice.left_out


def record(id: str, *texts: str, **more: Any) -> AnswerRecord:
    values: dict[str, Any] = {
        "id": id, "created": 1, "model": "desk", "release": "desk@1", "fingerprint": None, "index_epochs": {},
        "retrieval": "found" if texts else "off", "dropped_passages": [], "dropped_turns": 0, "prompt_tokens": None,
        "replica": "", "timings": Timings(None, 1, 1, 1), "usage": None, "outcome": "completed", "stream": False,
        "passages": [passage(number, text) for number, text in enumerate(texts, 1)],
    }  # fmt: skip
    return AnswerRecord(**{**values, **more})


def passage(number: int, text: str, **more: Any) -> CitedPassage:
    values: dict[str, Any] = {
        "number": number, "cited": False, "score": 1.0, "vector_store_id": "vs", "document_id": f"doc_{number}",
        "document_key": "a", "version": 1, "index_epoch": 1, "file_id": "f", "filename": "a.md", "heading": "",
        "start": 0, "end": 1, "text": text,
    }  # fmt: skip
    return CitedPassage(**{**values, **more})


@pytest.mark.parametrize(
    ("one", "winner"),
    [
        (contest(2, 0, 0), 0),
        (contest(0, 2, 0), 1),
        (contest(2, 1, 0), 0),
        (contest(0, 0, 0), "unvoted"),
        (contest(1, 0, 0), "too_few_votes"),
        (contest(2, 2, 0), "tie"),
        (contest(1, 0, 1), "tie"),
        (contest(3, 0, 2), "disagreement"),
        (contest(3, 2, 0), "disagreement"),
        (contest(2, 0, 0, replies=("one", "one ")), "same_replies"),
        (contest(9, 0, 0, fault="cut_off"), "cut_off"),
        (contest(1, 0, 0, corrected=True), 0),
        (contest(9, 0, 0, keys=0), 0),
        (contest(1, 1, 0, corrected=True), "tie"),
        (contest(0, 2, 0, corrected=True), "disagreement"),
        (contest(0, 0, 0, corrected=True), "unvoted"),
    ],
)
def test_a_winner_has_enough_votes_and_share(one: Contest, winner: object) -> None:
    assert find_winner(one, RULES) == winner


def test_a_pair_has_the_passages_that_both_replies_had() -> None:
    copied = [passage(1, "a"), passage(1, "a", copy=True), passage(2, "b", heading="Part b")]
    records = {
        "first": record("first", passages=copied, retrieval="found"),
        "second": record("second", passages=[passage(1, "a"), passage(2, "b", heading="Part b")], retrieval="found"),
    }
    (pair,), left_out = choose([contest(0, 2, 0)], records)
    assert (pair.better, pair.worse, left_out) == ("two", "one", Counter())
    assert pair.passages == [{"title": "a.md", "text": "a"}, {"title": "Part b", "text": "b"}]
    (row,), problems = read_preference_rows(encode_pairs([pair]))
    assert not problems
    assert row.passages is not None
    assert [one.title for one in row.passages] == ["a.md", "Part b"]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([record("first", "a")], "no_record"),
        ([record("first", "a"), record("second", "b")], "different_passages"),
        ([record("first", "a"), record("second")], "different_passages"),
        ([record("first", "a"), record("second", "a", dropped_turns=2)], "different_prompt"),
        ([record("first", "a"), record("second", "a", messages_digest=OTHER)], "different_messages"),
        ([record("first", "a"), record("second", passages=[passage(1, "", deleted=True)])], "deleted_document"),
    ],
)
def test_replies_behind_other_prompts_are_no_pair(records: list[AnswerRecord], reason: str) -> None:
    pairs, left_out = choose([contest(2, 0, 0)], {one.id: one for one in records})
    assert (pairs, left_out) == ([], Counter({reason: 1}))


def test_what_was_asked_is_held_against_the_record_as_far_as_it_knows() -> None:
    asked = digest_conversation([("user", "Where is it?")])
    records = {"first": record("first", messages_digest=asked), "second": record("second")}
    ((pair,), left_out) = choose([contest(2, 0, 0)], records)
    assert (pair.answered_by, left_out) == (frozenset({"desk@1"}), Counter())
    assert digest_conversation([("developer", "Be kind.")]) == digest_conversation([("system", "Be kind.")])


def test_records_are_wanted_of_contests_with_a_winner_alone() -> None:
    others = contest(1, 1, 0, answers=("third", "fourth"))
    choice = PairChoice(RULES)
    assert choice.list_answers([contest(2, 0, 0), others]) == {"first", "second"}
    records = {id: record(id) for id in ("first", "second")}
    choice.take([contest(2, 0, 0)], records)
    choice.take([others, contest(2, 0, 0)], records)
    assert (len(choice.pairs), choice.left_out) == (1, Counter({"tie": 1, "duplicate": 1}))


def test_one_key_with_many_names_decides_nothing_where_two_keys_are_wanted() -> None:
    def vote(answer: str, voter: str, key: str | None, **more: Any) -> FeedbackRow:
        row = make_feedback(answer, voter, **more)
        row.key = key
        return row

    rows = [vote("x", f"name {number}", "key_1", rating="up") for number in range(9)]
    rows += [vote("y", f"name {number}", "key_1", rating="down") for number in range(9)]
    rows.append(vote("x", "zoe", "key_3", preferred_over="z", other_reply="text of z"))  # says nothing of y
    wants = VoteRules(2, 0.66, 2)

    def decide() -> object:
        contests = list_feedback_contests(rows, corrections=True)[0]
        return next(find_winner(one, wants) for one in contests if one.answers == ("x", "y"))

    assert decide() == "too_few_keys"
    rows.append(vote("y", "eve", "key_2", rating="down"))
    assert decide() == 0
    rows = [vote("x", f"name {number}", "key_1", corrected_reply="Better.") for number in range(9)]
    assert find_winner(list_feedback_contests(rows, corrections=True)[0][0], wants) == "too_few_keys"


def test_answers_to_other_conversations_are_told_from_those_without_texts() -> None:
    rows = [
        make_feedback("x", "ann", preferred_over="y", other_reply="text of y"),
        make_feedback("y", "bob", messages=[{"role": "user", "content": "Else?"}], rating="down"),
    ]
    (contest,), _ = list_feedback_contests(rows[::-1], corrections=True)
    assert contest.fault == "different_messages"


def test_a_search_without_a_result_and_none_at_all_are_told_apart() -> None:
    for retrieval, passages in (("off", None), ("skipped", None), ("nothing_found", []), ("unavailable", [])):
        records = {id: record(id, retrieval=retrieval) for id in ("first", "second")}
        (pair,), _ = choose([contest(2, 0, 0)], records)
        assert pair.passages == passages


def test_a_conversation_is_never_in_both_halves() -> None:
    records = {id: record(id) for id in ("first", "second")}
    contests = [
        contest(2, 0, 0, messages=messages, replies=(f"better {number} {turn}", f"worse {number} {turn}"))
        for number in range(40)
        for turn, messages in enumerate(
            [
                [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"{number}?"}],
                [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": f"{number}?"},
                    {"role": "assistant", "content": "So."},
                    {"role": "user", "content": "And?"},
                ],
            ]
        )
    ]
    pairs, _ = choose([*contests, contests[0]], records)
    assert len(pairs) == 80
    training, held_out = split_pairs(pairs, 0.25, 3)
    assert (len(training), len(held_out)) == (60, 20)
    assert not {pair.conversation for pair in training} & {pair.conversation for pair in held_out}
    assert split_pairs(pairs, 0.25, 3) == (training, held_out)
    assert split_pairs(pairs, 0.25, 4) != (training, held_out)
    assert split_pairs(pairs, 0, 3)[1] == []


def make_feedback(answer: str, voter: str, **more: Any) -> FeedbackRow:
    values = {"messages": ASKED, "reply": f"text of {answer}", **more}
    return FeedbackRow(answer_id=answer, voter=voter, **values)


def test_feedback_on_answers_to_one_conversation_is_a_contest_between_them() -> None:
    rows = [
        make_feedback("x", "ann", rating="up"),
        make_feedback("y", "ann", rating="down"),
        make_feedback("x", "bob", rating="down"),
        make_feedback("y", "cid", preferred_over="x", other_reply="text of x"),
        make_feedback("z", "ann", messages=[{"role": "user", "content": "Else?"}], rating="up"),
        make_feedback("u", "ann", preferred_over="v", reply=None),
    ]
    (first, second), left_out = list_feedback_contests(rows, corrections=True)
    assert not left_out
    assert (first.answers, first.replies) == (("u", "v"), ("", "")) or second.answers == ("u", "v")
    voted, bare = sorted((first, second), key=lambda one: one.fault is not None)
    assert (voted.answers, voted.votes, voted.replies) == (("x", "y"), (1, 2, 0), ("text of x", "text of y"))
    assert (bare.fault, bare.votes) == ("no_texts", (1, 0, 0))


def test_a_correction_is_a_contest_that_ratings_take_part_in() -> None:
    rows = [
        make_feedback("x", "ann", rating="down", corrected_reply="better"),
        make_feedback("x", "bob", rating="down"),
        make_feedback("x", "cid", rating="up"),
        make_feedback("y", "ann", corrected_reply="better", messages=None),
    ]
    (of_x, of_y), _ = list_feedback_contests(rows, corrections=True)
    assert (of_x.replies, of_x.votes, of_x.answers) == (("better", "text of x"), (2, 1, 0), (None, "x"))
    assert find_winner(of_x, RULES) == 0
    assert (of_y.fault, find_winner(of_y, RULES)) == ("no_texts", "no_texts")
    assert list_feedback_contests(rows, corrections=False) == ([], Counter())


def test_a_voter_has_one_vote_between_two_answers() -> None:
    """One person may rate both and choose between them: all of that says one thing, the choice most of all."""
    rows = [
        make_feedback("x", "ann", rating="up", preferred_over="y", other_reply="text of y"),
        make_feedback("y", "ann", rating="down"),
    ]
    (alone,), _ = list_feedback_contests(rows, corrections=True)
    assert (alone.votes, find_winner(alone, RULES)) == ((1, 0, 0), "too_few_votes")
    more = [
        make_feedback("y", "bob", rating="up", preferred_over="x", other_reply="text of x"),
        make_feedback("x", "bob", rating="up"),
        *(make_feedback(answer, "cid", rating="up") for answer in "xy"),
        *(make_feedback(answer, "dee", preferred_over=other) for answer, other in ("xy", "yx")),
        make_feedback("x", "eve", rating="down"),
        make_feedback("y", "fay", rating="down"),
    ]
    (contest,), _ = list_feedback_contests([*rows, *more], corrections=True)
    assert contest.votes == (2, 2, 2)  # ann and fay; bob and eve; cid and dee said neither


def test_a_voter_who_rates_and_corrects_has_one_vote_between_answer_and_correction() -> None:
    rows = [make_feedback("x", "ann", rating="up", corrected_reply="better"), make_feedback("x", "bob", rating="up")]
    (contest,), _ = list_feedback_contests(rows, corrections=True)
    assert contest.votes == (1, 1, 0)


def test_many_answers_to_one_conversation_are_so_many_contests_at_most() -> None:
    """All pairs of 2,000 answers would be two million contests."""
    rows = [make_feedback(f"a{at:04}", "ann", rating="up" if at % 2 else "down") for at in range(2000)]
    rows += [make_feedback("a0001", "bob", preferred_over="a0002"), make_feedback("a0002", "bob", rating="up")]
    contests, left_out = list_feedback_contests(rows, corrections=True)
    assert len(contests) == 51  # with the one that a voter chose between
    # Each of 1,001 that are rated up with each of 1,000 that are rated down, but a0002 with itself.
    assert left_out == {"surplus_pair": 1001 * 1000 - 1 - 51}
    assert len({id for contest in contests for id in contest.answers}) > 90
    assert list_feedback_contests(rows[::-1], corrections=True)[0][0].answers == ("a0001", "a0002")
    alike = [make_feedback(f"a{at:04}", "ann", rating="up") for at in range(2000)]
    assert list_feedback_contests(alike, corrections=True) == ([], Counter())


def test_every_pair_of_a_few_answers_is_a_contest() -> None:
    rows = [make_feedback(answer, "ann", rating="up") for answer in "abcd"]
    rows += [make_feedback(answer, "bob", rating="down") for answer in "cdef"]
    contests, left_out = list_feedback_contests(rows, corrections=True)
    pairs = {contest.answers for contest in contests}
    assert pairs == {(one, other) for one in "abcd" for other in "cdef" if one < other}
    assert (len(contests), left_out) == (len(pairs), {})
