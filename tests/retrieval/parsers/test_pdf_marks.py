import pytest

from retrieval.parsers.pdf_marks import restore_marks


def mend(raw: str, drop: float = 1.2) -> str:
    return restore_marks(raw, lambda _before, _after: drop)


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ("a ware\ufffehouse", "a ware\ufffehouse"),
        ("von Nord\ufffeSüd", "von Nord-Süd"),
        ("THE WARE\ufffeHOUSE", "THE WARE\ufffeHOUSE"),
        ("model K\ufffe2 and", "model K-2 and"),
        ("the last ware\ufffe", "the last ware\ufffe"),
    ],
)
def test_a_hyphen_that_is_no_word_break_stays(raw: str, mended: str) -> None:
    assert mend(raw) == mended


def test_a_word_that_breaks_at_the_end_of_a_page_does_not_swallow_its_footer() -> None:
    assert mend("to the ware\ufffePage 1 of 3", drop=9.0) == "to the ware\nPage 1 of 3"


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ('המחיר 49 )כולל מע"מ(.', 'המחיר 49 (כולל מע"מ).'),
        ("المادة ]7[ من العقد", "المادة [7] من العقد"),
        ("המחיר (כולל)", "המחיר (כולל)"),
        ("a) one )b(", "a) one )b("),
        ("א) סעיף", "א) סעיף"),
    ],
)
def test_brackets_of_a_line_from_right_to_left_close_what_they_open(raw: str, mended: str) -> None:
    assert mend(raw) == mended


def test_signs_of_private_fonts_at_the_beginning_of_a_line_are_bullets() -> None:
    assert mend("\uf095 one\r\n\ue00c two \uf095 x\n\uf0b7three") == "• one\r\n• two \uf095 x\n\uf0b7three"
