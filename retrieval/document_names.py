"""Names of documents beside their titles: the words of a file's name that the title doesn't say.

`k2.md` and `k9.md` may both be "User manual". By its title alone no search finds the right one of them, and no model
knows whose warranty it reads of.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

__all__ = ["find_name", "find_names"]

_WORD = re.compile(r"[^\W_]+")
_SERVER = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*", re.I)
_OF_ANY = frozenset(("index", "readme", "default"))
_LONGEST, _LONGEST_WORD = 40, 20
_ENDING = 2
"""Letters at the end of a word that a title may have otherwise: `repairs` are at "The repair bench"."""


def find_name(title: str, filename: str, key: str) -> str:
    """Return the words of a file's name, and of the folders that its key has, that its document's title lacks."""
    path = _SERVER.sub("", key) if key.endswith(filename) else filename
    letters = "".join(_WORD.findall(title.lower()))
    stem = path.removesuffix(PurePosixPath(path).suffix)
    words = [word for word in _WORD.findall(stem) if len(word) <= _LONGEST_WORD]
    name = ""
    for word in reversed(words):
        small = word.lower()
        beginning = small if len(small) <= 2 * _ENDING else small[:-_ENDING]
        if beginning in letters or small in _OF_ANY:
            continue
        if len(longer := f"{word} {name}".rstrip()) > _LONGEST:
            break
        name = longer
    return name


def find_names(payloads: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return documents' names by their ids, for those that need one beside their title.

    These are the documents of a title that others among the points have too, and those whose name has a number (`k2`),
    which a title seldom lacks without reason. Documents whose names are the same are called by their keys.
    """
    titles: defaultdict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for payload in payloads:
        titles[(payload["heading"] or payload["filename"]).partition(" > ")[0]][payload["document"]] = payload
    names: dict[str, str] = {}
    for documents in titles.values():
        own = {document: payload.get("name", "") for document, payload in documents.items()}
        if len(set(own.values())) < len(own):
            own = {document: payload["key"] for document, payload in documents.items()}
        names |= {one: name for one, name in own.items() if len(own) > 1 or any(map(str.isdigit, name))}
    return names
