"""The key of a site's page: its path, with an ending that tells its format."""

import hashlib
from urllib.parse import unquote, urlsplit

__all__ = ["ENDINGS", "make_key", "mark_key"]

ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
}
"""By media type: those that are documents, and how the file's name ends.

Not all that `retrieval.parsers.formats` reads: a site's scripts, styles, data and pictures are no documents.
"""

_SAME = {".html": (".html", ".htm", ".xhtml"), ".md": (".md", ".markdown"), ".txt": (".txt", ".md", ".rst")}


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
