import pytest

from gateway.answering.citations import Citation, MarkFilter


def run(pieces: list[str], known: set[int]) -> tuple[list[str], list[Citation]]:
    marks = MarkFilter(frozenset(known))
    out = [marks.feed(piece) for piece in pieces]
    out.append(marks.finish())
    return out, marks.citations


def test_a_known_mark_stays_and_is_cited_where_it_stands() -> None:
    out, citations = run(["The K2 costs 89 euros [2]."], {1, 2})
    text = "".join(out)
    assert text == "The K2 costs 89 euros [2]."
    assert [text[c.start : c.end] for c in citations] == ["[2]"]


def test_an_unknown_mark_is_left_out_and_later_positions_count_what_was_sent() -> None:
    out, citations = run(["It is so [7] and so [1]"], {1})
    text = "".join(out)
    assert text == "It is so  and so [1]"
    assert [text[c.start : c.end] for c in citations] == ["[1]"]


TEXT = "See [1], [12], a[0] array, [x], [[2]] and an open [3"


@pytest.mark.parametrize("size", range(1, 9))
def test_pieces_of_any_size_give_the_same_text_and_marks(size: int) -> None:
    whole, expected = run([TEXT], {1, 2, 3})
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    out, citations = run(pieces, {1, 2, 3})
    assert "".join(out) == "".join(whole)
    assert citations == expected


def test_text_that_cannot_become_a_mark_is_not_held_back() -> None:
    marks = MarkFilter(frozenset({1}))
    assert marks.feed("an array a[i") == "an array a[i"
    assert marks.feed("] and [1") == "] and "
    assert marks.feed("]") == "[1]"


def test_at_most_four_characters_are_held_back() -> None:
    marks = MarkFilter(frozenset({1}))
    for number in ("[1234", "[99999999999"):
        assert len(number) - len(marks.feed(number)) <= 4
        marks.finish()
