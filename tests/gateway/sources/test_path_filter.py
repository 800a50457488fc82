"""The paths that a source takes, and the folders that are worth a look."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from gateway.sources.path_filter import PathFilter
from gateway.sources.schedule import _concerns  # pyright: ignore[reportPrivateUsage]
from gateway.sources.tables import SourceRow

PIECES = st.sampled_from(["a", "b", "ab", "*", "*", "?", "/", "/", "**/", "/**", "/**/", "[ab]", "[!/a]", "."])
PATTERNS = st.builds(
    lambda no, pieces: no + "".join(pieces), st.sampled_from(["", "", "!"]), st.lists(PIECES, min_size=1)
)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    ("filters", "path", "takes"),
    [
        ({}, "a/b.md", True),
        ({}, ".env", False),
        ({}, "a/.git/config", False),
        ({"hidden": True}, "a/.git/config", True),
        ({}, "a/b.md~", False),
        ({}, "#b.md#", False),
        ({}, "a/~$Prices.docx", False),
        ({}, "a/Thumbs.db", False),
        ({}, "desktop.ini", False),
        ({"hidden": True}, "a/b.md~", True),
        ({}, "a/~b/c#.md", True),
        ({"include": ["*.md"]}, "a/b.md", True),
        ({"include": ["*.md"]}, "a/b.txt", False),
        ({"include": ["/docs"]}, "docs/b.txt", True),
        ({"include": ["/docs"]}, "a/docs/b.txt", False),
        ({"exclude": ["*.tmp"]}, "a/b.tmp", False),
        ({"exclude": ["drafts/"]}, "drafts/b.md", False),
        ({"exclude": ["*.md", "!keep.md"]}, "keep.md", True),
        ({"include": ["*.md"], "exclude": ["b.md"]}, "a/b.md", False),
    ],
)
def test_a_path_is_taken_by_what_is_included_and_not_excluded(filters: dict[str, Any], path: str, takes: bool) -> None:
    assert PathFilter(**filters).takes(path) is takes


@pytest.mark.parametrize(
    ("filters", "folder", "enters"),
    [
        ({}, "a", True),
        ({}, ".git", False),
        ({}, "a/.git/objects/ab", False),
        ({"hidden": True}, "a/.git/objects/ab", True),
        ({"include": ["*.md"]}, "a", True),
        ({"include": ["docs/**"]}, "vendor/lib", False),
        ({"include": ["docs/**"]}, "docs/lib", True),
        ({"include": ["/docs/a*/b.md", "!c"]}, "docs/ab", True),
        ({"include": ["/docs/a*/b.md", "!c"]}, "docs/ba", False),
        ({"include": ["/docs"]}, "docs/lib", True),
        ({"include": ["docs/"]}, "a/docs", True),
        ({"include": ["**/docs/a"]}, "a/docs", True),
        ({"exclude": ["drafts/"]}, "a/drafts", False),
        ({"exclude": ["drafts/"]}, "a/drafts/old", False),
    ],
)
def test_a_folder_is_entered_unless_nothing_in_it_can_be_taken(
    filters: dict[str, Any], folder: str, enters: bool
) -> None:
    assert PathFilter(**filters).enters(folder) is enters


@pytest.mark.parametrize(
    ("path", "concerns"),
    [
        ("/lent/docs", True),
        ("/lent/docs/a.md", True),
        ("/lent/docs/sub", True),
        ("/lent/docs/.git/objects/ab/cdef", False),
        ("/lent/docs/.git", False),
        ("/lent/docs/a.tmp", False),
        ("/lent/docs-of-others/a.md", False),
        ("/lent", False),
    ],
)
def test_a_change_that_cannot_change_what_a_source_has_asks_for_no_sync(path: str, concerns: bool) -> None:
    row = SourceRow(include=[], exclude=["*.tmp"], hidden=False)
    assert _concerns(row, "/lent/docs", path) is concerns


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(PATHS, min_size=1, max_size=8))
def test_paths_are_taken_as_git_would(patterns: list[str], paths: list[str]) -> None:
    spec = GitIgnoreSpec.from_lines(patterns)
    taken = [PathFilter(exclude=patterns, hidden=True).takes(path) for path in paths]
    assert taken == [not spec.match_file(path) for path in paths]
    assert [PathFilter(include=patterns, hidden=True).takes(path) for path in paths] == [not one for one in taken]


@given(st.lists(PATTERNS, min_size=1, max_size=3), PATHS)
def test_a_folder_with_something_that_is_taken_is_entered(patterns: list[str], path: str) -> None:
    paths = PathFilter(include=patterns, hidden=True)
    folders = [path[:at] for at, sign in enumerate(path) if sign == "/"]
    assert not paths.takes(path) or all(map(paths.enters, folders))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 20 + "*b", "a" * 250),
        ("*" * 100 + "b", "a" * 250),
        ("[ab]*" * 30 + "c", "a" * 250),
        ("a/**/" * 30 + "b", "a/" * 200),
        ("**/a*a*a/" * 20 + "b", "aaaaaaaa/" * 60),
        ("*a*a*a*/" * 10 + "*a*a*b", "aaaaaaaaaaaaaaa/" * 60 + "x"),
    ],
)
def test_a_pattern_of_many_stars_is_soon_seen_not_to_match(pattern: str, path: str) -> None:
    begin = time.thread_time()
    assert PathFilter(exclude=[pattern]).takes(path)
    assert time.thread_time() - begin < 3
