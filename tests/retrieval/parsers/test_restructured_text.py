import re
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunks import split_into_chunks
from retrieval.errors import DocumentUnreadable
from retrieval.parsers.formats import find_text_format
from retrieval.parsers.parsed_document import Block, FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.restructured_text import parse_restructured_text
from tests.processor_time import measure
from tests.retrieval.block_order import read_blocks
from tests.retrieval.words import word_offsets

TEXT = """\
.. Copyright: nobody reads this line of the file at all.

=====================
:mod:`kettle` --- K2
=====================

.. _prices:

Prices & ``returns``
====================

It costs 49 euros. ----

Care
----
.. note::

   Descale it.

   .. code-block:: sh

      descale --all

Run this::

    # Not a title
    =============

    make tea

价格
====

...
"""


def parse(text: str) -> ParsedDocument:
    format_ = find_text_format(text, "a.rst")
    assert format_.kind == "rst"
    return parse_restructured_text(FileContent(text.encode(), "text/x-rst", text), ParseLimits())


def test_titles_are_headings_by_the_order_of_their_styles() -> None:
    parsed = parse(TEXT)
    found = [(heading.level, heading.title) for heading in parsed.headings]
    assert found == [(1, "kettle --- K2"), (2, "Prices & returns"), (3, "Care"), (2, "价格")]
    assert [parsed.text[heading.start :].split("\n")[0] for heading in parsed.headings] == [title for _, title in found]
    assert parsed.title == "kettle --- K2"


def test_comments_and_labels_are_no_text_and_comments_are_told_of() -> None:
    parsed = parse(TEXT)
    assert "nobody" not in parsed.text
    assert "_prices" not in parsed.text
    assert parsed.warnings == ["53 characters of text in comments were left out."]
    kept = ".. [1] A note.\n\n.. _site: https://kettle.example/\n\n.. |K2| replace:: Kestrel\n\n.. image:: a.png"
    assert parse(kept).text == kept
    with pytest.raises(DocumentUnreadable):
        parse("..\n   All of this is a comment.\n\n   And this.\n")


def test_what_only_looks_like_a_comment_is_text() -> None:
    parsed = parse(
        "He waited\n.. and spoke.\n\n.. One comment\n.. and another\n\n..  \n   A third\n\n.. 注意::\n\n   Hot"
    )
    assert parsed.text.split() == ["He", "waited", "..", "and", "spoke.", "..", "注意::", "Hot"]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("``vector<int>`` and `a <b>`_", "vector<int> and a"),
        ("2 * 3 * 4, a*b*c, *args and **kwargs", "2 * 3 * 4, a*b*c, *args and **kwargs"),
        ("*One* **two** :ref:`three <x>` `~a.B`", "One two three a.B"),
    ],
)
def test_a_title_loses_its_marks_and_no_words(line: str, title: str) -> None:
    assert parse(f"{line}\n=====\n\nText").title == title


def test_a_table_ends_at_its_last_line_also_without_a_blank_one() -> None:
    table = "==  ==\na   b\n==  ==\n1   2\n==  =="
    parsed = parse(f"{table}\nText\n\nTitle\n-----\n\n{table}\n\nEnd")
    assert [heading.title for heading in parsed.headings] == ["Title"]
    assert ["".join(parts) for _, *parts in read_blocks(parsed)] == [table, table]


def test_code_and_what_directives_hold_are_blocks() -> None:
    code = ".. code-block:: sh\n", "\n      descale --all"
    note = f".. note::\n\n   Descale it.\n\n   {''.join(code)}"
    literal = "    # Not a title\n    =============\n\n    make tea"
    expected = [("list", "", note), ("code", f"   {code[0]}", code[1]), ("code", "", literal)]
    assert read_blocks(parse(TEXT)) == expected


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("=====  =====\nmodel  price\n=====  =====\n", "K2     49\n\nK7     59\n=====  ====="),
        ("", "=====  =====\nK2     49\n=====  ====="),
        ("+-------+-------+\n| model | price |\n+=======+=======+\n", "| K2    | 49    |\n+-------+-------+"),
    ],
)
def test_tables_have_their_heads(head: str, body: str) -> None:
    parsed = parse(f"Prices\n\n{head}{body}\n\nThe end.\n")
    assert read_blocks(parsed) == [("table", head, body)]
    assert parsed.headings == []


@pytest.mark.parametrize(
    "text",
    [
        "A rule\n\n----\n\nand text",
        "Words in\na paragraph\n-----------\nand more",
        "Too long a title\n--\nfor that",
        "  Deeper\n  ------\n",
        "====\nTitle\n===\n",
    ],
)
def test_other_lines_of_signs_make_no_title(text: str) -> None:
    parsed = parse(text)
    assert (parsed.headings, parsed.text) == ([], text)


def test_titles_may_follow_each_other_and_labels_at_once() -> None:
    parsed = parse("Kettles\n=======\nPrices\n------\n.. _care:\nCare\n----\nDescale it.")
    assert [heading.title for heading in parsed.headings] == ["Kettles", "Prices", "Care"]


def test_a_section_begins_its_own_chunk_without_its_headline() -> None:
    parsed = parse("====\n K2\n====\n\nPrices\n~~~~~~\n\nIt costs 49 euros.\n\nCare\n~~~~\n\nDescale it each month.")
    chunks = split_into_chunks(parsed, word_offsets, max_tokens=8)
    assert [(chunk.headings, chunk.text[chunk.headline :]) for chunk in chunks] == [
        (("K2", "Prices"), "It costs 49 euros."),
        (("K2", "Care"), "Descale it each month."),
    ]


LINE = st.sampled_from(
    [
        "Title",
        "=====",
        "-----",
        "== ==",
        "+--+",
        "+==+",
        "a::",
        "  b",
        "    c",
        "",
        ".. x::",
        "  .. y:: z",
    ]
)


@settings(max_examples=100)
@given(st.lists(LINE, max_size=20))
def test_every_word_stays_and_blocks_lie_in_each_other(lines: list[str]) -> None:
    text = "\n".join(["k", "", *lines])
    parsed = parse(text)
    assert re.findall(r"\w+", parsed.text) == re.findall(r"\w+", text)
    starts = [heading.start for heading in parsed.headings]
    assert starts == sorted(set(starts))
    assert all(parsed.text.startswith(heading.title, heading.start) for heading in parsed.headings)
    spans: list[Block] = []
    for block in parsed.blocks:
        assert 0 <= block.start <= block.head <= block.end <= len(parsed.text)
        assert block.start < block.end
        while spans and spans[-1].end <= block.start:
            spans.pop()
        assert not spans or block.end <= spans[-1].end
        spans.append(block)


@pytest.mark.parametrize(
    "line", ["== ==\n", "+--+\n", ".. a::\n", "..\n a\n", "a::\n\n", "a\n--\n", "\n", ".. |x\n", "`<" * 20 + "\n"]
)
def test_a_file_costs_its_length(line: str) -> None:
    short, long = (measure(partial(parse, "k\n\n" + line * count)) for count in (3_000, 12_000))
    assert long < 12 * max(short, 0.02)


@pytest.mark.parametrize("make", [lambda n: "`a" + " " * n + "b\n----\n", lambda n: ":a" * n + "\n----\n"])
def test_a_title_costs_its_length(make: Callable[[int], str]) -> None:
    began = time.process_time()
    parse(make(50_000))
    assert time.process_time() - began < 5


def test_substitutions_stand_for_their_texts_but_in_code() -> None:
    text = (
        ".. |product| replace:: Kestrel\n   K2\n.. |logo| image:: k2.png\n.. |unused| replace:: tea\n\n"
        "Guide to |product|\n==================\n\nThe |Product| costs |price| of a|b|c.\n\n"
        ".. note:: |product|_ is hot.\n\nRun::\n\n   boil |product|\n"
    )
    parsed = parse(text)
    assert parsed.title == "Guide to Kestrel K2"
    assert parsed.text.split("\n\n") == [
        ".. |logo| image:: k2.png\n.. |unused| replace:: tea",
        "Guide to Kestrel K2",
        "The Kestrel K2 costs |price| of a|b|c.",
        ".. note:: Kestrel K2 is hot.",
        "Run::",
        "   boil |product|\n",
    ]


def test_long_substitutions_add_only_so_much() -> None:
    parsed = parse(f".. |a| replace:: {'x' * 9_000}\n\n" + "|a|\n" * 10_000)
    assert len(parsed.text) < 2_100_000


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (".. |a| replace:: a |b|\n.. |b| replace:: kettle\n\nIt is |a|.", "It is a kettle."),
        (".. |a| replace:: |b|\n.. |b| replace:: |a|\n\nIt is |a|.", "It is |a|."),
        (".. |P| replace:: 49\n.. |p| replace:: 59\n\nIt is |P| or |p|.", "It is 49 or 59."),
        (".. |p| replace:: 49\n\n=====  =====\nmodel  price\n=====  =====\nK2     |p|\n=====  =====", "K2     49"),
        (".. |p| replace:: 49\n\nWrite ``|p|``::\n\n    |p|", ".. |p| replace:: 49"),
        (".. |p| replace:: 49\n.. |p| replace:: 59\n\nSee there.", ".. |p| replace:: 49\n.. |p| replace:: 59"),
    ],
)
def test_no_text_of_a_substitution_is_lost_where_it_stands_for_nothing(text: str, read: str) -> None:
    assert read in parse(text).text
