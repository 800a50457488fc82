"""Paths that a source takes, by patterns as `.gitignore` has them."""

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from pathspec import GitIgnoreSpec, RegexPattern

__all__ = ["PathFilter", "compose_signs", "is_hidden"]

_STAR, _FOLDERS, _ANYWHERE = "[^/]*", "(?:/.+)?/", "^(?:.+/)?"
"""The expressions that pathspec makes of `*`, of `/**/`, and of a pattern's beginning that may be in any folder."""


_OF_PROGRAMS = re.compile(r"\..*|~\$.*|.*~|#.*#|thumbs\.db|desktop\.ini", re.IGNORECASE | re.DOTALL)
"""Names of hidden files, and of what programs keep beside those of a person: backups, which say what was so before,
notes of Office on who has a file open, and Windows' own."""


def is_hidden(path: str) -> bool:
    """Tell whether a file, or a folder on its path, is hidden, or a program's own copy or note of another file."""
    return any(_OF_PROGRAMS.fullmatch(part) for part in path.split("/"))


def compose_signs(path: str) -> str:
    """Return a path with each sign as one character, as keyboards write it; macOS writes `é` as `e` and an accent."""
    return unicodedata.normalize("NFC", path)


class PathFilter:
    """Tells which paths, relative to the source and with slashes, belong to it.

    Args:
        include: Patterns of `.gitignore`; without any, every path.
        exclude: Patterns of what isn't taken, also of that; `!` takes back.
        hidden: Whether hidden files are taken, and what programs keep beside others (`is_hidden`).
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = (), *, hidden: bool = False) -> None:
        include, exclude = list(map(compose_signs, include)), list(map(compose_signs, exclude))
        self._include = _compile(include) if include else None
        self._places = [place for line in include if (place := _find_place(line)) is not None]
        self._exclude = _compile(exclude)
        self._hidden = hidden

    def takes(self, path: str) -> bool:
        """Tell whether a file belongs to the source."""
        path = compose_signs(path)
        if self._is_hidden(path):
            return False
        if self._include is not None and not self._include.match_file(path):
            return False
        return not self._exclude.match_file(path)

    def enters(self, folder: str) -> bool:
        """Tell whether anything in a folder can belong to the source; as in git, what is excluded isn't looked into."""
        folder = compose_signs(folder)
        if self._is_hidden(folder):
            return False
        parts = folder.split("/")
        if self._include is not None and not any(_leads_to(parts, place) for place in self._places):
            return False
        return not self._exclude.match_file(f"{folder}/")

    def _is_hidden(self, path: str) -> bool:
        return not self._hidden and is_hidden(path)


def _find_place(line: str) -> Sequence[str] | None:
    """Return the names on the way to what a pattern includes, up to where it may be anywhere; None if it takes back."""
    if line.startswith("!"):
        return None
    place = line.strip().rstrip("/")
    if "/" not in place or any(sign in place for sign in "[\\"):  # those may stand for a slash, or for no star
        return ()
    return place.removeprefix("/").partition("**")[0].split("/")[: None if "**" not in place else -1]


def _leads_to(parts: Sequence[str], place: Sequence[str]) -> bool:
    """Tell whether a folder is on the way to a place, or in it."""
    return all(fnmatchcase(part, name) for part, name in zip(parts, place, strict=False))


def _compile(lines: Sequence[str]) -> GitIgnoreSpec:
    """Compile patterns so that the time of a look at a path doesn't grow with a power of its length.

    The expressions that pathspec makes try each star at each place for each place of the others, and a pattern of nine
    stars takes hours for a name of a hundred letters.
    """
    return GitIgnoreSpec([_make_atomic(one) for one in GitIgnoreSpec.from_lines(lines).patterns])


def _make_atomic(pattern: Any) -> Any:
    """Return a pattern that takes what is between two stars where it comes first, and doesn't look for it again.

    Where it comes first the most is left for what follows, so that no other place would do better.
    """
    if not isinstance(pattern, RegexPattern) or pattern.regex is None:
        return pattern
    *inner, last = cast(str, pattern.regex.pattern).split(_FOLDERS)
    texts = [_take_first(part) for part in inner]
    if texts and texts[0].startswith(_ANYWHERE):
        texts[0] = f"^(?>(?:.+?/)??{texts[0].removeprefix(_ANYWHERE)}(?=/))"
    texts[1:] = [f"(?>(?:/.+?)??/{text}(?=/))" for text in texts[1:]]
    return type(pattern)(re.compile("".join(texts) + (_FOLDERS if inner else "") + _take_first(last)), pattern.include)


def _take_first(expression: str) -> str:
    first, *pieces = expression.split(_STAR)
    return first + "".join(
        [*(f"(?>{_STAR}?{piece})" for piece in pieces[:-1]), *(_STAR + piece for piece in pieces[-1:])]
    )
