"""Paths that a source takes, by patterns as `.gitignore` has them."""

from collections.abc import Sequence

from pathspec import GitIgnoreSpec

__all__ = ["PathFilter"]


class PathFilter:
    """Tells which paths, relative to the source and with slashes, belong to it.

    Args:
        include: Patterns of `.gitignore`; without any, every path.
        exclude: Patterns of what isn't taken, also of that; `!` takes back.
        hidden: Whether names that begin with a dot are taken.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = (), *, hidden: bool = False) -> None:
        self._include = GitIgnoreSpec.from_lines(include) if include else None
        self._exclude = GitIgnoreSpec.from_lines(exclude)
        self._hidden = hidden

    def takes(self, path: str) -> bool:
        """Tell whether a file belongs to the source."""
        if self._is_hidden(path):
            return False
        if self._include is not None and not self._include.match_file(path):
            return False
        return not self._exclude.match_file(path)

    def enters(self, folder: str) -> bool:
        """Tell whether anything in a folder can belong to the source; as in git, what is excluded isn't looked into."""
        if self._is_hidden(folder):
            return False
        return not self._exclude.match_file(f"{folder}/")

    def _is_hidden(self, path: str) -> bool:
        return not self._hidden and any(part.startswith(".") for part in path.split("/"))
