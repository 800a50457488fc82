import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from gateway.sources.path_filter import PathFilter

PIECES = st.sampled_from(["a", "b", "ab", "*", "*", "?", "/", "/", "**/", "/**", "/**/", "[ab]", "[!/a]", "."])
PATTERNS = st.builds(
    lambda no, pieces: no + "".join(pieces), st.sampled_from(["", "", "!"]), st.lists(PIECES, min_size=1)
)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=5).map("/".join)


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(PATHS, min_size=1, max_size=8))
def test_paths_are_taken_as_git_would(patterns: list[str], paths: list[str]) -> None:
    spec = GitIgnoreSpec.from_lines(patterns)
    taken = [PathFilter(exclude=patterns, hidden=True).takes(path) for path in paths]
    assert taken == [not spec.match_file(path) for path in paths]
    assert [PathFilter(include=patterns, hidden=True).takes(path) for path in paths] == [not one for one in taken]


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
    assert time.thread_time() - begin < 0.5
