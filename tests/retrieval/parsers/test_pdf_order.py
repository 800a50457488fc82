import pytest

from retrieval.parsers.pdf_order import restore_order


def mend(raw: str, ends: dict[int, float]) -> str:
    """Put the character at each place to the right of the one before it, or where `ends` says."""
    return restore_order(raw, lambda place: (ends.get(place, place), ends.get(place, place) + 1.0))


@pytest.mark.parametrize(
    ("raw", "ends", "mended"),
    [
        ("الغالية", {4: 3}, "الغلاية"),
        ("في األول", {4: 9, 5: 9}, "في الأول"),
        ("الغالية", {}, "الغالية"),
        ("abc\nالى", {5: 4}, "abc\nلاى"),
    ],
)
def test_an_alef_and_a_lam_that_are_drawn_as_one_sign_are_read_from_the_lam_on(
    raw: str, ends: dict[int, float], mended: str
) -> None:
    assert mend(raw, ends) == mended


ALLAH, BLESSED = "الله", "صلى الله عليه وسلم"


@pytest.mark.parametrize(
    ("raw", "sign", "mended"),
    [
        ("اهلل", slice(1, 4), ALLAH),
        ("ساَلم", slice(1, 4), "سلَام"),
        ("يف بيت", slice(2), "في بيت"),
        (f"س {ALLAH}", slice(2, 6), f"س {ALLAH}"),
        (f"س {BLESSED} م", slice(2, 2 + len(BLESSED)), f"س {BLESSED} م"),
        ("سلام", slice(1, 3), "سلام"),
    ],
)
def test_letters_that_are_drawn_as_one_are_turned_unless_unicode_has_a_sign_for_them(
    raw: str, sign: slice, mended: str
) -> None:
    """pdfium turns what a font writes as several letters, and takes Unicode's own signs (ﷲ, ﷺ, ﻻ) apart in order."""
    first, *rest = range(len(raw))[sign]
    assert mend(raw, dict.fromkeys(rest, first)) == mended


def test_letters_of_no_width_are_left_as_they_are() -> None:
    assert restore_order("الغلاية", lambda _place: (0.0, 0.0)) == "الغلاية"


@pytest.mark.parametrize(
    ("raw", "ends", "mended"),
    [
        ("דגם 2K עולה", {4: 9, 5: 8}, "דגם K2 עולה"),
        ("كتاب 9001:2015ISO", {5 + n: (8 if n < 9 else -8) + n for n in range(12)}, "كتاب ISO9001:2015"),
        ("דגם K2 עולה", {}, "דגם K2 עולה"),
        ("model 2K costs", {6: 9, 7: 8}, "model 2K costs"),
        ("שנת 26-20", {4: 9, 5: 10, 7: 4, 8: 5}, "שנת 26-20"),
    ],
)
def test_a_name_with_digits_is_read_from_left_to_right(raw: str, ends: dict[int, float], mended: str) -> None:
    assert mend(raw, ends) == mended
