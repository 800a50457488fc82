"""Tables, code and lists in chunks: whole where they fit, and never without what they need to be read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunks import Chunk, split_into_chunks
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed_document import FileContent, ParseLimits
from tests.retrieval.words import word_offsets

HEADER = "| model | price |\n|---|---|"
TABLE = HEADER + "".join(f"\n| K{n} | {n * 7} |" for n in range(40))
CODE = "```python\n" + "\n\n".join(f"def f{n}():\n    return {n}" for n in range(30)) + "\n```"
STEPS = "\n".join(f"{n}. Press the button number {n}." for n in range(1, 9))
PROSE = "The kettle boils water. " * 6


def size(text: str) -> int:
    return len(word_offsets(text))


def cut(text: str, max_tokens: int = 60, overlap_tokens: int = 0) -> list[Chunk]:
    parsed = parse_markdown(FileContent(text.encode(), "text/markdown", text), ParseLimits())
    return split_into_chunks(parsed, word_offsets, max_tokens=max_tokens, overlap_tokens=overlap_tokens)


@pytest.mark.parametrize("overlap", [0, 12])
@pytest.mark.parametrize("before", ["", PROSE + "\n\n", "- item\n\n"], ids=["first", "after prose", "after a list"])
def test_each_piece_of_a_table_has_its_header(before: str, overlap: int) -> None:
    chunks = [chunk for chunk in cut(before + TABLE, 60, overlap) if "| K" in chunk.text]
    assert len(chunks) > 3
    for chunk in chunks:
        assert chunk.whole.count(HEADER) == 1
        assert size(chunk.whole) <= 60 + 60 // 8
        assert chunk.text.splitlines()[-1].count("|") == 3
    assert all(chunk.opening == HEADER for chunk in chunks[1:])
    assert all(chunk.text.startswith("| K") for chunk in chunks[1:])


def test_each_piece_of_code_is_fenced() -> None:
    chunks = cut(f"{PROSE}\n\n{CODE}\n\n{PROSE}")
    pieces = [chunk.whole for chunk in chunks if "def f" in chunk.whole]
    assert len(pieces) > 3
    for piece in pieces:
        assert piece.count("```python") == 1
        assert piece.count("```") == 2
        assert piece.split("```python\n")[1].startswith("def f")


@pytest.mark.parametrize("block", [STEPS, "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", "```\na\n\nb\n\nc\n```"])
def test_a_block_that_fits_is_in_one_chunk(block: str) -> None:
    for words in range(0, 50, 7):
        text = f"{'word ' * words}\n\n{block}\n\n{PROSE}"
        assert any(block.strip() in chunk.text for chunk in cut(text, 70)), words


def test_the_words_that_introduce_a_block_stay_with_it() -> None:
    chunks = cut(f"{'word ' * 40}\n\nTo reset it:\n\n{STEPS}", 64)
    assert any(f"To reset it:\n\n{STEPS}" in chunk.text for chunk in chunks)


def test_a_heading_stays_with_the_text_under_it() -> None:
    for body in (PROSE * 9, TABLE, CODE, STEPS * 5):
        assert all(len(chunk.text.splitlines()) > 1 for chunk in cut(f"## Warranty\n\n{body}") if chunk.text[0] == "#")


def test_a_list_that_does_not_fit_is_cut_between_its_steps() -> None:
    steps = "\n".join(f"{n}. Press it.\n\n    ```\n    press {n}\n\n    wait\n    ```\n" for n in range(1, 30))
    chunks = cut(steps, 40)
    assert len(chunks) > 3
    assert all(chunk.text[0].isdigit() for chunk in chunks)
    assert all(chunk.whole.count("```") % 2 == 0 for chunk in chunks)


def test_a_head_that_fills_a_chunk_is_cut_short() -> None:
    header = "| " + " | ".join(f"column{n}" for n in range(60)) + " |"
    rows = "\n".join("| " + " | ".join(str(n) for n in range(60)) + " |" for _ in range(3))
    chunks = cut(f"{header}\n|{'---|' * 60}\n{rows}", 40)
    assert len(chunks) > 3
    for chunk in chunks:
        assert size(chunk.whole) <= 45
        assert size(chunk.opening) <= 20


BLOCKS = [
    PROSE,
    STEPS,
    TABLE,
    CODE,
    "# A heading",
    "- a\n- b\n  - c",
    "    indented code\n\n    more",
    "> | a |\n> |---|\n> | 1 |",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=6), st.integers(12, 80), st.integers(0, 20))
def test_blocks_in_any_order_leave_nothing_out(parts: list[str], max_tokens: int, overlap: int) -> None:
    text = "\n\n".join(parts)
    chunks = cut(text, max_tokens, overlap)
    covered = {at for chunk in chunks for at in range(chunk.start, chunk.end)}
    assert all(at in covered or text[at].isspace() for at in range(len(text)))
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert all(size(chunk.whole) <= max(max_tokens + max_tokens // 8, 1) + 2 for chunk in chunks)
