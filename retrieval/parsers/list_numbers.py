"""Numbers of lists and headings as they are shown: letters and Roman ones."""

__all__ = ["write_letters", "write_roman"]

_MOST = 9_999_999
_MOST_ROMAN = 3999
_MOST_LETTERS = 9
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def write_letters(number: int, *, repeated: bool = False) -> str:
    """Write `a` to `z`, then `aa`, `ab`, … as pages count, or `aa`, `bb`, … as word processors do; else digits."""
    if not 0 < number <= _MOST:
        return str(number)
    if repeated:
        return chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, _MOST_LETTERS)
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def write_roman(number: int) -> str:
    """Write a number from 1 to 3999 in small Roman digits, others as they are."""
    if not 0 < number <= _MOST_ROMAN:
        return str(number)
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text
