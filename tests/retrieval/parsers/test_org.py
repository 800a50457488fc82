import time
from collections.abc import Callable

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.org import parse_org
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from tests.retrieval.block_order import check_blocks, read_blocks

TEXT = """\
# -*- mode: org -*-
#+TITLE: Kestrel /K2/
#+AUTHOR: Ann Lee
#+OPTIONS: toc:nil
#+TODO: OPEN(o) | SHUT
# Nobody reads this line of the file at all, dear model.

* TODO [#A] Prices & [[https://kettle.example][returns]] [1/2] :shop:tea:
DEADLINE: <2026-12-01 Tue>
:PROPERTIES:
:CUSTOM_ID: prices
:END:

#+CAPTION: What it costs
#+ATTR_HTML: :width 100
| Model | Price |
|-------+-------|
| K2    |    49 |
| K7    |    59 |
#+TBLFM: $2=vmean

** SHUT Care
#+begin_quote
It is hot.

#+begin_src sh :results output
,* no heading
descale --all
#+end_src
#+end_quote

#+RESULTS:
: done
: twice

Do this:
- Fill it.

  With water.
- Press it.
After.
* COMMENT Draft
** Below
A section that the author of the guide has taken out again.
* Ours :noexport:
Gone as well.
* 価格
...
"""


def parse(text: str) -> ParsedDocument:
    return parse_org(FileContent(text.encode(), "text/org", text), ParseLimits())


def test_headings_have_their_words_and_are_below_the_files_title() -> None:
    parsed = parse(TEXT)
    found = [(heading.level, heading.title) for heading in parsed.headings]
    assert found == [(1, "Kestrel K2"), (2, "Prices & returns"), (3, "Care"), (2, "価格")]
    assert [parsed.text[heading.start :].split("\n")[0] for heading in parsed.headings] == [title for _, title in found]
    assert parsed.title == "Kestrel K2"
    assert [(one.level, one.title) for one in parse("* A\n** DONE\n*** OPEN Tea\n#+TITLE: B").headings] == [
        (1, "A"),
        (3, "OPEN Tea"),
    ]


def test_comments_drawers_and_keywords_are_no_text_but_what_readers_see_is() -> None:
    parsed = parse(TEXT)
    for gone in (
        "Nobody",
        "OPTIONS",
        "toc:nil",
        "PROPERTIES",
        "CUSTOM_ID",
        "ATTR_HTML",
        "TBLFM",
        "Draft",
        "Gone",
        "Below",
    ):
        assert gone not in parsed.text
    for kept in ("Ann Lee", "DEADLINE: <2026-12-01 Tue>", "What it costs"):
        assert kept in parsed.text
    assert parsed.warnings == ["138 characters of text in comments were left out."]
    assert parse('#+INCLUDE: "a.org"\n:OPEN:\nIt costs 49.').text == '#+INCLUDE: "a.org"\n:OPEN:\nIt costs 49.'
    assert parse(":NOTES:\nIt costs 49.\n:END:\n:LOGBOOK:\nGone.\n:END:\nMore.").text == "It costs 49.\nMore."
    assert parse("#+begin_comment\nGone.\n#+end_comment\nStays.").text == "Stays."
    assert parse("#+begin_comment\nNever closed.\n* A").text == "#+begin_comment\nNever closed.\nA"
    with pytest.raises(DocumentUnreadable):
        parse("# nothing else")


def test_blocks_of_each_kind_have_what_introduces_them() -> None:
    code = "#+begin_src sh :results output\n* no heading\ndescale --all\n#+end_src"
    assert read_blocks(parse(TEXT)) == [
        ("table", "What it costs\n| Model | Price |\n|-------+-------|\n", "| K2    |    49 |\n| K7    |    59 |"),
        ("list", "", f"It is hot.\n\n{code}"),
        ("code", "#+begin_src sh :results output\n", "* no heading\ndescale --all\n#+end_src"),
        ("code", "", ": done\n: twice"),
        ("list", "", "- Fill it.\n\n  With water.\n- Press it."),
    ]


def test_macros_stand_for_their_texts_but_in_code() -> None:
    text = (
        "#+TITLE: {{{name}}}\n* {{{name}}} costs\n| {{{name}}} |\n{{{price(49,euros\\, net)}}} {{{other}}} {{{now}}}\n"
        ": {{{name}}}\n#+MACRO: name K2\n#+macro: price $1 $2$3!\n#+MACRO: now (eval (now))"
    )
    parsed = parse(text)
    assert parsed.text == "K2\nK2 costs\n| K2 |\n49 euros, net! {{{other}}} {{{now}}}\n: {{{name}}}"
    assert [heading.title for heading in parsed.headings] == ["K2", "K2 costs"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "* A;** TODO B :noexport:;text;#+begin_src;#+end_src;#+begin_quote;#+end_quote;#+begin_comment;"
            "#+end_comment;;| a | b |;|---+---|;: code;# c;#+TITLE: T;#+CAPTION: c;:D:;:END:;- item;  more".split(";")
        ),
        max_size=30,
    ).map("\n".join)
)
def test_any_order_of_lines_is_read_with_blocks_in_order(text: str) -> None:
    try:
        parsed = parse(text)
    except DocumentUnreadable:
        reject()
    check_blocks(parsed)
    if "text" in text.split("\n") and not any(sign in text for sign in ("comment", ":noexport:", ":END:")):
        assert "text" in parsed.text


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "#+begin_quote\n" * n + "#+end_quote",
        lambda n: "#+begin_src\n#+end_src\n" * n,
        lambda n: "#+begin_src\n" * n + "* A\n#+end_src",
        lambda n: ":D:\n" * n + ":END:",
        lambda n: "".join(f"{'*' * (n - k if n < 400 else 1 + k % 9)} COMMENT a\n" for k in range(n)),
        lambda n: "* COMMENT a\n" * n * 10,
        lambda n: f"#+MACRO: a {'x' * 900}\n{'{{{a}}}' * n}",
        lambda n: f" {{{{{{a({'a,' * n}",
        lambda n: f"* {' _a' * n}",
        lambda n: f"* {'[[a' * n}",
        lambda n: f"* a{' ' * n}b{' :a' * n}",
        lambda n: "| a |\n|-\n" * n,
        lambda n: "- a\n\n" * n,
    ],
)
def test_time_grows_with_the_length_alone(make: Callable[[int], str]) -> None:
    begun = time.process_time()
    parse(f"x\n\n{make(20_000)}")
    assert time.process_time() - begun < 5
