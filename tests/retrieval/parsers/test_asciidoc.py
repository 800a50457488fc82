import time
from collections.abc import Callable

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.asciidoc import parse_asciidoc
from retrieval.parsers.formats import find_text_format
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from tests.retrieval.block_order import check_blocks, read_blocks

TEXT = """\
// Copyright: nobody reads this line of the file at all.
= Kestrel {model}: `K2` guide
Ann Lee <ann@kettle.example>
v2.1, 2026-11-30
:toc:
:model: K2
:price: 49 euros \\
  with tax

The {model} costs {price}, and {unknown} stays.

[[prices]]
== Prices & _returns_ ==

.What it costs
[cols="1,2",options="header"]
|===
|Model |Price

|{model}
|49

|K7 | 59
|===

=== Care

[WARNING]
====
It is hot.

== Not a title

----
descale --all
----
====

Run this:

[source,sh]
----
# Not a title
== neither
echo {model}
// stays
----

////
== Draft
A section that the authors of the guide have taken out again.
////

. Fill it.
+
[NOTE]
It holds a litre.
. Press it.

価格
----

...
"""


def parse(text: str) -> ParsedDocument:
    format_ = find_text_format(text, "a.adoc")
    assert format_.kind == "asciidoc"
    return parse_asciidoc(FileContent(text.encode(), "text/asciidoc", text), ParseLimits())


def make_bounds(depth: int) -> tuple[str, str]:
    """Return the lines that open blocks within each other, and those that close them."""
    lines = [f"{sign * width}\n" for width in range(4, 4 + depth) for sign in "=*_"]
    return "".join(lines), "".join(reversed(lines))


def test_titles_are_headings_with_their_words() -> None:
    parsed = parse(TEXT)
    found = [(heading.level, heading.title) for heading in parsed.headings]
    assert found == [(1, "Kestrel {model}: K2 guide"), (2, "Prices & returns"), (3, "Care"), (2, "価格")]
    assert [parsed.text[heading.start :].split("\n")[0] for heading in parsed.headings] == [title for _, title in found]
    assert parsed.title == "Kestrel {model}: K2 guide"
    assert "Ann Lee" in parsed.text
    assert "v2.1" in parsed.text
    assert ":toc:" not in parsed.text
    assert "prices]]" not in parsed.text


def test_attributes_stand_for_their_values_but_in_code() -> None:
    parsed = parse(TEXT)
    assert "The K2 costs 49 euros with tax, and {unknown} stays." in parsed.text
    assert "echo {model}" in parsed.text
    assert "K2 | 49" in parsed.text
    later = ':a: one\n\n{a} \\{a} {lt}\n\n:a: two\n\n{a}\n\n:!a:\n\n{a}\n\n[subs="+attributes"]\n----\n{b}{gt}\n----'
    assert parse(later).text.split("\n\n") == ["one {a} <", "two", "{a}", "----\n{b}>\n----"]
    assert parse("= T\n\nYou write\n:name: value\nin the head.").text == "T\n\nYou write\n:name: value\nin the head."
    assert len(parse(f":a: {'x' * 900}\n\n{'{a} ' * 10_000}").text) < 4_000_000
    assert len(parse(f":a: {'x' * 5_000}\n\n{{a}}").text) == 5_000
    assert parse("= T\nAnn Lee\n:a: v\n\n{a}").text == "T\nAnn Lee\n\nv"
    assert parse("You write\n:name: value\nin the head.").text == "You write\n:name: value\nin the head."
    assert parse(":doctitle: Kettles\n\nText.").title == "Kettles"


def test_comments_are_no_text_and_are_told_of() -> None:
    parsed = parse(TEXT)
    assert "nobody" not in parsed.text
    assert "Draft" not in parsed.text
    assert parsed.warnings == ["123 characters of text in comments were left out."]
    assert parse("[comment]\n--\nGone.\n--\nStays.").text == "Stays."
    assert (
        parse("[comment]\nGone.\nToo.\n\nStays.\n\n[comment]\nGone as well.\n----\ncode\n----").text
        == "Stays.\n\n----\ncode\n----"
    )
    assert parse("[comment-box]\n--\nStays.\n--").text == "Stays."
    assert parse("It costs 49.\n\n////\nNever closed, so it hides nothing.").text.endswith("hides nothing.")
    with pytest.raises(DocumentUnreadable):
        parse("// nothing else")


def test_blocks_of_each_kind_have_what_introduces_them() -> None:
    care = "[WARNING]\nIt is hot.\n\n== Not a title\n\n----\ndescale --all\n----"
    assert read_blocks(parse(TEXT)) == [
        ("table", "What it costs\nModel | Price\n", "K2 | 49\nK7 | 59"),
        ("list", "", care),
        ("code", "----\n", "descale --all\n----"),
        ("code", "[source,sh]\n----\n", "# Not a title\n== neither\necho {model}\n// stays\n----"),
        ("list", "", ". Fill it.\n[NOTE]\nIt holds a litre.\n. Press it."),
    ]
    assert [block.closing for block in parse(TEXT).blocks if block.kind == "code"] == ["----", "----"]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("|===\n|A |B\n\n|1\n|2\n|===", ["A | B\n", "1 | 2"]),
        ('[%header,cols="2*"]\n|===\n|A\n|B\n|1\n|2\n|===', ["A | B\n", "1 | 2"]),
        ('[cols="1,1"]\n|===\n2+|A\n|1 a|* x\n* y\n|===', ["", "A |\n1 | * x * y"]),
        ("|===\n|A |B\n\n.2+|1 |2\n|3\n|===", ["A | B\n", "1 | 2\n1 | 3"]),
        ("|===\n2+^.^h|Fares |C\n\n|1 |2 |3\n|===", ["Fares | Fares | C\n", "1 | 2 | 3"]),
        ("|===\n|A \\| B |C\n\n|1 3*|2\n|===", ["A \\| B | C\n", "1 | 2\n2 | 2"]),
        (',===\nA,B\n\n"1, 5",2\n,===', ["A | B\n", "1, 5 | 2"]),
        ("[%header,format=dsv]\n|===\nA:B\n1:2\n|===", ["A | B\n", "1 | 2"]),
        ("[%noheader]\n|===\n|A |B\n\n|x |y\n|===", ["", "A | B\nx | y"]),
        ("|===\n|Model |Price\n|K2 |49\n|===", ["Model | Price\n", "K2 | 49"]),
        ("|===\n.999+|a |b\n|===", ["", "a | b"]),
        ('Text:\n[cols="2*",options=header]\n.Prices\n|===\n|A\n|B\n|1\n|2\n|===', ["Prices\nA | B\n", "1 | 2"]),
        ('[format=csv]\n|===\nA,B\n\n"x\ny",2\n|===', ["A | B\n", "x y | 2"]),
        ("[format=dsv]\n|===\nA:B\n\nx\\:y:C\\D\n|===", ["A | B\n", "x:y | C\\D"]),
        ("|===\n0*|a |b\n|===", ["", "a | b"]),
    ],
)
def test_tables_are_rows_under_their_columns(table: str, rows: list[str]) -> None:
    parsed = parse(f"{table}\n\nText.")
    (block,) = parsed.blocks
    text = parsed.text
    assert [text[block.start : block.head], text[block.head : block.end]] == rows


def test_a_table_whose_rows_stand_elsewhere_is_plain_text_and_an_empty_one_is_nothing() -> None:
    parsed = parse("|===\ninclude::rows.adoc[]\n|a |b\n|===\n\nText.")
    assert not parsed.blocks
    assert "include::rows.adoc[]\n|a |b" in parsed.text
    assert not parse("!===\n!===\n\nText.").blocks


@pytest.mark.parametrize(
    "cells",
    [
        f"999*|{'x' * 90}\n" * 400,
        f".999+|{'x' * 90}\n" * 400,
        ".999+|a 2.999+|b\n" * 2_000,
    ],
)
def test_cells_that_are_repeated_add_little(cells: str) -> None:
    begun = time.process_time()
    parsed = parse(f"[cols=2*]\n|===\n{cells}|Last\n|===")
    assert len(parsed.text) < 20_000 + 12 * len(cells)
    assert "Last" in parsed.text
    assert time.process_time() - begun < 5


def test_titles_right_above_a_block_leave_it_its_bounds() -> None:
    parsed = parse("= K2\n\n== Usage\n----\nmake tea\n----\n\n== Note\n====\nHot.\n====\n\n== End\n----\nText.")
    assert [heading.title for heading in parsed.headings] == ["K2", "Usage", "Note", "End"]
    assert read_blocks(parsed) == [("code", "----\n", "make tea\n----"), ("list", "", "Hot.")]
    assert parsed.text.endswith("End\nText.")


def test_links_without_words_are_called_by_where_they_lead() -> None:
    text = "== See https://k.example/a[] and xref:warranty[], link:b[our _best_]\n\nText."
    assert [one.title for one in parse(text).headings] == ["See https://k.example/a and warranty, our _best_"]


def test_conditions_and_settings_are_no_text_but_what_they_hold_is() -> None:
    text = (
        "ifdef::pro[]\nThe Pro costs 99.\nendif::pro[]\nifdef::pro[It is red.]\n\n[.lead%open]\ninclude::a.adoc[tag=x]"
    )
    assert parse(text).text == "The Pro costs 99.\nIt is red.\n\ninclude::a.adoc[tag=x]"
    quoted = '[quote, Ann Lee, "A, book"]\nTea.\n\n[role="x"]\nText.\n\n  indented code\n\n.Caption\nMore.'
    assert parse(quoted).text == '[quote, Ann Lee, "A, book"]\nTea.\n\nText.\n\n  indented code\n\nCaption\nMore.'
    assert (
        parse("ifndef::pro[It costs 49.]\nifeval::[{a} == 1]\n\n[1999]\nText.").text == "It costs 49.\n\n[1999]\nText."
    )
    assert parse("[quote.big, Ann Lee]\nTea.").text == "[quote.big, Ann Lee]\nTea."
    assert parse("a\n\n++++\n<b>49</b>\n++++").text == "a\n\n<b>49</b>"


def test_lists_stay_whole_and_end_with_the_next_paragraph() -> None:
    parsed = parse("Do:\n\n* One.\n\n** Two.\n\nK2::\nIt boils.\n\nAfter.\n\n. Last\n\n== Title\n\n- x")
    assert [block[2] for block in read_blocks(parsed)] == ["* One.\n\n** Two.\n\nK2::\nIt boils.", ". Last", "- x"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "= A;== B;text;----;....;====;--;```;////;// c;;[source];[NOTE];.Cap;* item;+;  code;{a};:a: v;endif::[]"
            ';a::;****;++++;|===;|a |b;2+|c;,===;a,b;[";!==='.split(";")
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
    if "text" in text.split("\n") and "////" not in text:
        assert "text" in parsed.text


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "----\ncode\n" * n + "....\n",
        lambda n: "".join(f"{'-' * (4 + k % 500)}\n" for k in range(n)),
        lambda n: f"== {'link:' * n}",
        lambda n: f"== {'*a ' * n}",
        lambda n: '["' * n,
        lambda n: "====\n****\n" * n,
        lambda n: "|===\n" + "|a" * n + "\n\n|b\n|===",
        lambda n: ":a: b \\\n" * n,
        lambda n: f":a: b \\\n{'word' * 20} \\\n" * n,
        lambda n: ("x\n" * n * 20).join(make_bounds(400)),
        lambda n: f":a: {'x' * 900}\n{'{a}' * n}",
        lambda n: "* item\n+\n" * n,
        lambda n: ".Cap\n" * n,
        lambda n: "a::" * n,
    ],
)
def test_time_grows_with_the_length_alone(make: Callable[[int], str]) -> None:
    begun = time.process_time()
    parse(f"x\n\n{make(20_000)}")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("settings", "caption"),
    [
        ('[title="Prices, all of {year}",cols="1,2"]', "Prices, all of 2026"),
        ("[cols='1,2', title='Our prices']", "Our prices"),
        ("[%header,title=Prices]", "Prices"),
        ("[subtitle=Prices]", ""),
    ],
)
def test_a_caption_among_the_settings_of_a_block_is_its_caption(settings: str, caption: str) -> None:
    parsed = parse(f"= Guide\n:year: 2026\n\n- a point\n\n{settings}\n|===\n|Model |Price\n\n|K2 |49\n|===\n")
    assert read_blocks(parsed)[-1] == ("table", f"{caption}\nModel | Price\n".lstrip(), "K2 | 49")


def test_a_title_of_a_comment_is_none_of_the_page_and_empty_settings_are_settings() -> None:
    table = "[cols=\"\",separator='']\n|===\n|K2 |49\n|===\n"
    assert parse(f"= Tea\n\n[comment,title=Not yet]\nIt boils.\n\n{table}").text.split() == "Tea K2 | 49".split()
