from gateway.conversations import Conversation
from gateway.fine_tuning.evidence_rows import (
    GroundedRow,
    choose_abstentions,
    encode_rows,
    list_abstentions,
    make_abstention,
    place_passages,
    withhold,
)
from training.dataset import Message, RowPassage, read_rows

PRICE = RowPassage("Kettle", "The kettle costs £49.")
OTHERS = [RowPassage("Lamp", f"The lamp number {number} is blue.") for number in range(2, 7)]


def make(number: int = 1, passages: list[RowPassage] | None = None, reply: str = "It costs £49.") -> Conversation:
    return Conversation(number, [Message("user", "The kettle?"), Message("assistant", reply)], passages=passages)


def test_passages_that_state_the_reply_are_told_from_near_misses() -> None:
    row = GroundedRow.of(make(passages=[OTHERS[0], PRICE]), "searched")
    assert (row.stating, row.distractors, row.unanswered) == ({1}, [OTHERS[0]], False)
    assert GroundedRow.of(make(passages=OTHERS), "searched").unanswered
    assert not GroundedRow.of(make(passages=OTHERS, reply="Aye!"), "searched").unanswered


def test_what_states_the_reply_takes_the_place_of_the_worst_and_stands_anywhere() -> None:
    places: set[int] = set()
    for number in range(1, 30):
        row = GroundedRow.of(make(number, OTHERS), "searched")
        placed = place_passages(row, [PRICE], 5, seed=1)
        passages = list(placed.conversation.passages or ())
        assert [one for one in passages if one != PRICE] == OTHERS[:4]
        places.add(passages.index(PRICE))
        assert placed.stating == {passages.index(PRICE)}
        assert place_passages(row, [PRICE], 5, seed=1) == placed
    assert places == {0, 1, 2, 3, 4}
    best = GroundedRow.of(make(passages=[*OTHERS[:4], PRICE]), "searched")
    more = RowPassage("Offer", "£49 until Sunday.")
    kept = place_passages(best, [more], 5, seed=1).conversation.passages or ()
    assert len(kept) == 5
    assert {PRICE, more} <= set(kept)


def test_a_share_of_the_answered_rows_learns_to_have_no_answer() -> None:
    rows = [GroundedRow.of(make(number, [PRICE, OTHERS[0]]), "searched") for number in range(1, 101)]
    rows += [GroundedRow.of(make(101, OTHERS, "Aye!"), "searched"), GroundedRow.of(make(102, [PRICE]), "own")]
    chosen = choose_abstentions(rows, 0.2, seed=3)
    assert len(chosen) == 20
    assert chosen == choose_abstentions(rows, 0.2, seed=3) != choose_abstentions(rows, 0.2, seed=4)
    assert not chosen & {101, 102}
    taken = [withhold(row, ["No idea, mate."], seed=3) for row in rows if row.conversation.number in chosen]
    assert {row.source for row in taken} == {"nothing", "near_misses"}
    for row in taken:
        assert row.conversation.replies == ["No idea, mate."]
        assert list(row.conversation.passages or ()) == ([] if row.source == "nothing" else [OTHERS[0]])


def test_a_preferred_reply_without_its_evidence_is_the_worse_one() -> None:
    row = Conversation(1, make().messages, passages=[PRICE], rejected="Dunno.")
    taken = withhold(GroundedRow.of(row, "searched"), ["No idea."], seed=1).conversation
    assert (taken.replies, taken.rejected, taken.passages) == (["No idea."], "It costs £49.", [])


def test_the_owners_words_for_no_answer_are_those_of_rows_that_found_nothing() -> None:
    rows = [GroundedRow.of(make(number, [], "No idea."), "own") for number in (1, 3)]
    rows += [GroundedRow.of(make(2, [PRICE]), "own"), GroundedRow(make(4, None, "Hello!"), "not_searched")]
    rows.append(GroundedRow.of(make(5, [], "We ship on Monday."), "searched"))  # and the search found nothing
    assert list_abstentions(rows) == ["No idea."]


def test_rows_stay_in_their_lines() -> None:
    rows, problems = read_rows(encode_rows([make(2, [PRICE]), make(5)]))
    assert not problems
    assert [(row.number, row.passages) for row in rows] == [(2, [PRICE]), (5, None)]


def test_a_row_whose_search_found_nothing_gets_the_owners_words_or_is_left_out() -> None:
    row = GroundedRow.of(make(passages=[]), "searched")
    taught = make_abstention(row, ["No idea."], seed=1)
    assert (taught.source, taught.conversation.replies, taught.conversation.passages) == (
        "found_nothing",
        ["No idea."],
        [],
    )
    assert make_abstention(row, [], seed=1).source == "left_out"
    own = GroundedRow.of(make(passages=[], reply="Not in my books."), "searched")
    kept = make_abstention(own, ["No idea.", "Who knows?", "Not in my books."], seed=1)
    assert (kept.source, kept.conversation) == ("found_nothing", own.conversation)
