from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

pytestmark = pytest.mark.model


def parse(body: str) -> ParsedDocument:
    return parse_html(FileContent(b"", "text/html", f"<html><body>{body}</body></html>"), ParseLimits())


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<ol><li>Fill it.<li>Press it.</ol>", "1. Fill it.\n2. Press it."),
        ("<ol start=4><li>a<li value=9>b<li>c</ol>", "4. a\n9. b\n10. c"),
        ("<ol reversed><li>a<li>b</ol>", "2. a\n1. b"),
        ("<ol type=a><li>x<li>y</ol>", "a. x\nb. y"),
        ("<ol type=I start=4><li>x</ol>", "IV. x"),
        ("<ol style='list-style-type: lower-roman'><li>x<li>y</ol>", "i. x\nii. y"),
        ("<ol type=A start=27><li>x</ol>", "AA. x"),
        ("<ol start=x type=i><li>a</ol>", "i. a"),
        ("<ol type=a start=0><li>a</ol>", "0. a"),
        ("<ul><li><p>One</p><p>more</p></li><li>Two</li></ul>", "- One\n\nmore\n\n- Two"),
        ("<ol><li><h3>Fill it</h3><p>To the line.</p></ol>", "### 1. Fill it\n\nTo the line."),
        ("<ol><li><pre>boil</pre></ol>", "1.\nboil"),
        ("<ol><li></li><li>b</li></ol><p>c", "2. b\n\nc"),
        ("<table><tr><th>a<th>b<tr><td>x<td><ol><li>y<li>z</ol></table>", "a | b\nx | 1. y 2. z"),
        ("<li>Of no list.", "- Of no list."),
        ("<ul><ul><li>deep</ul></ul>", "- deep"),
    ],
)
def test_items_have_the_marks_that_a_browser_shows(page: str, text: str) -> None:
    assert "\n".join(line.removeprefix("  ") for line in parse(page).text.split("\n")) == text


def test_items_of_lists_in_lists_are_indented_without_gaps() -> None:
    page = parse("<p>Do this:<ol><li>One<ul><li>a<ol><li>deep</ol><li>b</ul></li><li>Two</ol><p>End.")
    assert page.text == "Do this:\n\n1. One\n  - a\n    1. deep\n  - b\n2. Two\n\nEnd."
    assert [(block.kind, page.text[block.start : block.end]) for block in page.blocks] == [("list", page.text[10:-6])]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("这是一个\n   很长的句子\n。", "这是一个很长的句子。"),
        ("日本語の\r\n文章「です」\n。", "日本語の文章「です」。"),
        ("中文 and\n中文", "中文 and 中文"),
        ("한국어\n문장", "한국어 문장"),
        ("<b>北京</b>\n<b>上海</b>", "北京 上海"),
    ],
)
def test_a_line_that_was_wrapped_between_characters_of_chinese_or_japanese_is_one(source: str, text: str) -> None:
    assert parse(f"<p>{source}").text == text


trees = st.recursive(
    st.sampled_from(["x", "y z"]),
    lambda inner: st.tuples(st.booleans(), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)


def write(tree: Any, depth: int, lines: list[str]) -> str:
    if isinstance(tree, str):
        return tree
    ordered, items = tree
    tag = "ol" if ordered else "ul"
    html: list[str] = []
    for number, item in enumerate(items, 1):
        mark = f"{'  ' * depth}{f'{number}.' if ordered else '-'}"
        lines.append(f"{mark} {item if isinstance(item, str) else 'of'}")
        inner = item if isinstance(item, str) else f"of{write(item, depth + 1, lines)}"
        html.append(f"<li>{inner}</li>")
    return f"<{tag}>{''.join(html)}</{tag}>"


@settings(max_examples=30)
@given(trees.filter(lambda tree: not isinstance(tree, str)))
def test_lists_come_back_from_the_text_with_their_numbers_and_depth(tree: Any) -> None:
    lines: list[str] = []
    page = write(tree, 0, lines)
    assert parse(page).text.split("\n") == lines
