import pytest

from gateway.counts import format_count


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (1200, ("row",), "1,200 rows"),
        (1, ("reply copies", "replies copy"), "1 reply copies"),
        (2, ("reply copies", "replies copy"), "2 replies copy"),
    ],
)
def test_a_noun_goes_with_its_number(number: int, words: tuple[str, ...], text: str) -> None:
    assert format_count(number, *words) == text
