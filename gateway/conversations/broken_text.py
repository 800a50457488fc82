"""Texts that were decoded wrongly, told from right words in capitals: `GrÃ¼ÃŸe` is broken, and `AMANHÃ…` isn't."""

import re

__all__ = ["find_broken_text"]

_WINDOWS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\u0080-\u009f"
"""UTF-8's second bytes 80 to 9F: as Windows' letters, and as they are."""

_CANDIDATE = re.compile(
    rf"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f]|Ã[{_WINDOWS}\u00a0-\u00bf]|Â[\u0080-\u00bf]|â€[{_WINDOWS}\u00a0-\u00bf]|\u2587{{3,}}"
)
"""UTF-8 that was read as Windows' letters (`Ã¼`, `â€™`), signs that no text has, and Zendesk's bars.

Of `Â` only what stands for a sign that there is: before one of Windows' own it would stand for none.
"""

_BEHIND_WORDS = frozenset("…‘’“”„‚–—•™‹›")
_BEHIND_LONGER_WORDS = frozenset("\u00a0«»®©°·´\u00ad")
"""For small letters (`LÃ\u00a0` for `Là`), which no word in capitals ends with."""


def find_broken_text(text: str) -> str | None:
    """Return the first piece of a text that no right text has; None where there is none."""
    return next((match[0] for match in _CANDIDATE.finditer(text) if not _is_right(text, match)), None)


def _is_right(text: str, match: re.Match[str]) -> bool:
    """Tell whether a word in capitals ends with `Ã` here, as in Portuguese and Vietnamese, with a sign behind it."""
    if match[0][0] != "Ã":
        return False
    before, after = text[max(0, match.start() - 2) : match.start()], text[match.end() : match.end() + 1]
    sign = match[0][1]
    if not before[-1:].isupper() or (after.isalpha() and sign != "—"):
        return False
    return sign in _BEHIND_WORDS or (sign in _BEHIND_LONGER_WORDS and len(before) == 2 and before[0].isupper())
