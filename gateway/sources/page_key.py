"""The key of a site's page: its path, with an ending that tells its format."""

import hashlib
from urllib.parse import unquote, urlsplit

from retrieval.parsers.formats import FORMATS

__all__ = ["ENDINGS", "find_ending", "make_key", "mark_key"]


def _list_endings(media_type: str) -> tuple[str, ...]:
    """Return how names of files of a type end, the one that a name without any gets first."""
    return tuple(ending for row in FORMATS for ending, one in row.media_types.items() if one == media_type)


_HTML = _list_endings("text/html")
ENDINGS = {
    "text/html": _HTML[0],
    "application/xhtml+xml": _HTML[0],
    **{media_type: _list_endings(media_type)[0] for media_type in ("text/markdown", "text/plain", "application/pdf")},
}
"""By media type: those that are documents, and how the file's name ends.

Not all that `retrieval.parsers.formats` reads: a site's scripts, styles, data and pictures are no documents.
"""

# By ending: those that a page's name keeps. Servers call many texts plain.
_SAME = {_HTML[0]: _HTML, ".md": (".md", ".markdown"), ".txt": (".txt", ".md", ".rst")}


_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")
"""Media types of servers that don't know a file's."""
_MORE = {"text/x-markdown": ENDINGS["text/markdown"]}


def find_ending(media_type: str, url: str) -> str | None:
    """Return how the name of a page of a media type ends; None for what is no document.

    Where the server doesn't know the type, its address tells it.
    """
    if media_type not in _UNKNOWN:
        return ENDINGS.get(media_type) or _MORE.get(media_type)
    path = urlsplit(url).path.lower()
    return next((ending for ending in ENDINGS.values() if path.endswith(_SAME.get(ending, (ending,)))), None)


def make_key(url: str, ending: str) -> str:
    """Return the key of a page; other addresses may have the same one, such as `/a`, `/a.html` and `/%61`."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    if not path or path.endswith("/"):
        path += "index"
    if parts.query:
        path += "@" + unquote(parts.query).replace("/", "_")
    if not path.lower().endswith(_SAME.get(ending, (ending,))):
        path += ending
    return "".join(character if character.isprintable() else "_" for character in path)


def mark_key(key: str, address: str) -> str:
    """Return the key of a page whose own is another page's."""
    stem, dot, ending = key.rpartition(".")
    return f"{stem}-{hashlib.sha256(address.encode()).hexdigest()[:8]}{dot}{ending}"
