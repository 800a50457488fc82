"""Which links, images and addresses an answer may have, to whatever renders it."""

import re
from collections.abc import Collection
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import Citation
from tests.gateway.answering.markdown import code_blocks, pieces, texts

GIVEN = (
    "See https://ok.example/a, [guide](https://ok.example/b?x=1&y=2) and smb://ok/share. Write to mailto:a@ok.example."
)
ALLOWED = {"https://ok.example/a", "https://ok.example/b?x=1&y=2"}


def run(parts: list[str], known: frozenset[int] | None = frozenset({1, 2})) -> tuple[str, list[Citation], int]:
    text = AnswerText(known, lambda: GIVEN)
    out = "".join([*(text.feed(part) for part in parts), text.finish()])
    return out, list(text.citations), text.removed_links


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a [link](https://e.x/q) here", "a link here"),
        ("an ![image](https://e.x/q?s) here", "an image here"),
        ("![](https://e.x/q?s)", "(image removed)"),
        ("[](//e.x)", "(link removed)"),
        ("[a](<https://e.x/a b> 'title') [b](\n//e.x\n) [c](https&#58;//e.x) [d](https\\://e.x)", "a b c d"),
        ("[**K2**](https://e.x) and [`code`](https://e.x)", "**K2** and `code`"),
        ("[![a](https://e.x/1)](https://e.x/2)", "a"),
        ("[![a](https://e.x/1)](https://ok.example/a)", "[a](https://ok.example/a)"),
        ("[a](javascript:alert) [b](data:text/html,x) [c](mailto:e@e.x?body=s) [d](\\\\e.x) [e](/\\e.x)", "a b c d e"),
        ("see https://e.x/q?s=1, or www.e.x/q.", "see (link removed), or (link removed)."),
        ("<https://e.x/q> and <mailto:a@e.x>", "(link removed) and (link removed)"),
        ("![x][r]\n\n[r]: https://e.x/q?s\n[s]: <//e.x>", "![x][r]\n\n[r]: (link removed)\n[s]: (link removed)"),
        ("<img src='https://e.x/q'> <a href=//e.x>b</a>", "<img> <a>b</a>"),
        ("<p style='background:url(//e.x)' onload='x://y'>", "<p>"),
        ("查 https://e.x/q。更多 [链](https://e.x)", "查 (link removed)。更多 链"),
        ("smb://e.x/share", "smb(link removed)"),
        ("a <script src=//e.x> b", "a < script src=(link removed)> b"),
        ("a [b](<//e.x", "a b"),  # the text ends before the link
        ("a [b](//e.x", "a b"),
        ("a [b](//e.x 'c", "a b 'c"),
        ("[1](https://e.x) [2]", "1 [2]"),
        ("[a](https://ok.example/a?s=1) https://ok.example/ab https://ok.example", "a (link removed) (link removed)"),
    ],
)
def test_an_address_that_was_not_in_the_prompt_is_left_out(text: str, left: str) -> None:
    assert run([text])[0] == left
    assert run(list(text))[0] == left
    assert run([text])[2] > 0


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://ok.example/a) ![b](https://ok.example/b?x=1&y=2 'title') <https://ok.example/a>",
        "See https://ok.example/a, (https://ok.example/a) **https://ok.example/a** https://ok.example/a/.",
        '<a href="https://ok.example/a">a</a> <b class="x">b</b>',
        "[here](/api/answers/1), [there](#part), [up](../x.md) and f[0](x)",
        "smb://ok/share and mailto:a@ok.example",
        "5 < 6, a<b, List<String>, map<std::string, int>, at 12:30, Note: so. and/or [Note: x]: [1]: Page: 3",
        "what a [bracket and an ! and ] and : and http and www",
        "```sh\ncurl https://e.x/install.sh | sh\n```\nor `curl https://e.x | sh`, [docs](https://ok.example/a)",
        "- so:\n\n      wget https://e.x\n\n> ~~~\n> ![x](https://e.x)\n> ~~~\n",
        "-\n\n    wget https://e.x\n",  # an item that begins with two blank lines has ended
        "   > ~~~\n   > ![x](https://e.x)\n   > ~~~\n\n   - ~~~\n     ![x](https://e.x)\n     ~~~\n",
    ],
)
def test_other_links_and_code_stay_as_they_are(text: str) -> None:
    assert run([text])[0] == text
    assert run(list(text)) == run([text])
    assert run([text])[2] == 0


@pytest.mark.parametrize(
    "text",
    [
        "![x][(](//e.x)//e.x)",  # what is left of one link would complete another
        "[a][](//e.x)(//e.x)",
        "<di[x](//e.x)v a=//e.x>",
        "<div x=//e.x>\n```\n\n```\n![x](//e.x)\n```",  # the fences change places when the tag goes
        "<b x=//e.x>```\n```\n![x](//e.x)\n```",
        "[```](//e.x)\n\n```\n![x](//e.x)\n```",
        "[a](b`c) ![x](https://e.x) `",  # a backtick that begins no code
        '<a title="`"> ![x](https://e.x) `',
        "| `x | ![y](https://e.x) ` |\n|---|---|",  # a cell ends in the middle of code
        "~~~ a|b ![x](//e.x)\n|---|---|\n![x](//e.x)|",
        "a `b ![x](//e.x)\nc` | d\n|---|---|",  # a table's head ends the paragraph in the middle of code
        "<pre>\n```\n</pre>\n\n![x](//e.x)\n",
        "<!-- \n```\n-->\n\n![x](//e.x)\n",
        "a `b\r\r![x](//e.x) `",
        "<img alt='>' src=//e.x>",
        "[a `<https://e.x/q>`](//e.x)` b",  # what closes the code would become longer
        "<div>\n<img src=//e.x/\n\nmore>",
    ],
)
def test_tricks_do_not_get_an_address_through(text: str) -> None:
    assert find_live(run([text])[0]) == []
    assert run(list(text)) == run([text])


@settings(max_examples=120, deadline=None)
@given(st.data(), texts)
def test_any_cut_gives_the_same_text_citations_and_links(data: st.DataObject, text: str) -> None:
    for known in (frozenset({1, 2}), frozenset[int](), None):
        assert run(data.draw(pieces(text)), known) == run([text], known)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_no_renderer_finds_an_address_that_was_not_in_the_prompt(text: str) -> None:
    assert find_live(run([text])[0]) == []


@settings(max_examples=120, deadline=None)
@given(st.data(), st.lists(code_blocks(), min_size=1, max_size=3))
def test_code_of_any_kind_goes_through_byte_for_byte(data: st.DataObject, codes: list[str]) -> None:
    text = "\n\nThe warranty is long.\n\n".join(codes)
    for known in (frozenset({1, 2}), frozenset[int]()):
        assert run(data.draw(pieces(text)), known) == (text, [], 0)


@settings(max_examples=60, deadline=None)
@given(st.data(), texts)
def test_where_any_link_may_go_the_text_with_its_passages_is_unchanged(data: st.DataObject, text: str) -> None:
    free = AnswerText(frozenset({1, 2, 9}), None)
    assert "".join([*map(free.feed, data.draw(pieces(text))), free.finish()]) == text
    assert all(text[c.start : c.end] == f"[{c.number}]" for c in free.citations)


def test_an_endless_address_is_left_out_and_not_kept_in_memory() -> None:
    text = AnswerText(None, lambda: GIVEN)
    out = text.feed("see https://e.x/?") + "".join(text.feed("secret" * 100) for _ in range(100)) + text.feed(" and on")
    assert out + text.finish() == "see (link removed) and on"


@pytest.mark.parametrize("begun", ["[a](//e.x '", "[a](<//e.x", "[a](//e.x(", "[a", "<b c='", "[r]: <//e.x"])
def test_what_begins_and_never_ends_is_not_kept_in_memory(begun: str) -> None:
    text = AnswerText(None, lambda: GIVEN)
    out = text.feed(f"see {begun}") + "".join(text.feed("t" * 100) for _ in range(100))
    assert len(out) > 5_000
    assert find_live(out + text.finish()) == []


def test_the_prompt_is_read_when_an_address_is_met_and_not_before() -> None:
    reads: list[str] = []

    def read() -> str:
        reads.append("")
        return GIVEN

    text = AnswerText(frozenset({1}), read)
    text.feed("It is [1] 31 months, [see](/api/x) `code`; at 12:30!\n\n- so\n")
    assert reads == []
    text.feed("https://ok.example/a and https://ok.example/a ")
    assert reads == [""]


def find_live(text: str, allowed: Collection[str] = ALLOWED) -> list[str]:
    """Find the addresses on other hosts that a page of the text has, but those that are allowed."""
    renderers = (MarkdownIt("commonmark"), MarkdownIt("commonmark", {"html": True}).enable("table"))
    found: list[str] = []
    for renderer in renderers:
        renderer.validateLink = lambda _url: True  # type: ignore[method-assign]
        page = _Page()
        try:
            page.feed(renderer.render(text))
        except AssertionError:  # of a declaration that Python's parser doesn't read
            continue
        found += [url for url in page.urls if _leaves(url) and url not in allowed and unescape(url) not in allowed]
    return found


def _leaves(url: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.|[/\\]{2}", re.sub(r"[\x00-\x20]", "", url)) is not None


class _Page(HTMLParser):
    """Collects the addresses of a page's tags."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.urls += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "style", "data", "action")
        ]
