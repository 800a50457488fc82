import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits

pytestmark = pytest.mark.model

PAGE = """<!doctype html><html><head><title>Harbor Line – prices</title><style>p {}</style></head><body>
<nav><a href="/">Home</a></nav>
<h1>Prices <small>2026</small></h1>
<p>Adults pay <b>12&nbsp;euros</b>.<br>Dogs travel
   free.</p>
<table><tr><th>Route</th><th>Adult</th></tr><tr><td>Norvik</td><td>12</td></tr></table>
<ul><li>Monday<li>Tuesday</ul>
<section><h2>Hours</h2>From 8 to 18.</section>
<pre>code  with
  space</pre>
<script>var secret = 1</script><footer>Call 555.</footer>
</body></html>"""


def parse(html: str) -> Parsed:
    return parse_html(FileContent(html.encode(), "text/html", html), ParseLimits())


def test_headings_tables_lists_and_code_keep_their_shape() -> None:
    page = parse(PAGE)
    assert page.text == (
        "# Prices 2026\n\nAdults pay 12\xa0euros.\nDogs travel free.\n\nRoute | Adult\nNorvik | 12\n\n"
        "- Monday\n- Tuesday\n\n## Hours\n\nFrom 8 to 18.\n\ncode  with\n  space\n\nCall 555."
    )
    assert [(heading.level, heading.title) for heading in page.headings] == [(1, "Prices 2026"), (2, "Hours")]
    assert all(page.text[heading.start :].startswith("#" * heading.level) for heading in page.headings)
    assert page.title == "Prices 2026"


@pytest.mark.parametrize(
    "hidden",
    [
        '<p style="DISPLAY : none">evil</p>',
        "<div hidden><p>evil</p></div>",
        '<span aria-hidden="true">evil</span>',
        '<p style="color:red;visibility:hidden !important">evil</p>',
        '<p style="font-size:0px">evil</p>',
        '<p style="opacity:0">evil</p>',
        "<template>evil</template>",
        "<!-- evil -->",
        "<noscript>evil</noscript>",
        "<script>evil</script>",
        "<textarea>evil</textarea>",
        "<div hidden><pre>evil</pre></div>",
        "<pre hidden>evil</pre>",
        "<pre><span hidden>evil</span></pre>",
        "<pre><!-- evil --></pre>",
    ],
)
def test_an_element_that_no_reader_sees_is_left_out_and_the_next_stays(hidden: str) -> None:
    assert parse(f"<body><p>before</p>{hidden}<p>after</p></body>").text == "before\n\nafter"


def test_faint_or_small_text_is_still_seen() -> None:
    assert parse('<p style="opacity:0.5;font-size:0.8em">seen</p>').text == "seen"


def test_a_title_stands_in_for_a_missing_heading() -> None:
    assert parse("<title> Harbor\n Line </title><p>x").title == "Harbor Line"


def test_a_page_may_nest_deeper_than_the_stack_of_python() -> None:
    assert "deep" in parse("<div>" * 200 + "deep" + "</div>" * 200 + "x").text
    assert parse("start " + "<b>" * 50_000 + "end").text.startswith("start")


@pytest.mark.parametrize("html", ["<html></html>", "<body><script>x</script></body>", "<p hidden>x</p>", "<!-- -->"])
def test_a_page_that_shows_nothing_is_empty(html: str) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        parse(html)
    assert caught.value.code == "empty_file"


def test_code_keeps_its_shape_around_the_parts_that_no_reader_sees() -> None:
    page = parse("<pre>\n  one  <b>two</b><i hidden>evil</i>\n<br>three<script>evil</script>  four\n</pre>after")
    assert page.text == "  one  two\n\nthree  four\n\nafter"


def test_cells_and_headings_without_words_leave_no_trace() -> None:
    page = parse("<h1> </h1><table><tr><td></td><td>12</td><td> </td><td>euros</td></tr></table><h2></h2><p>end")
    assert page.text == "12 | euros\n\nend"
    assert page.headings == []


def test_an_instruction_of_xml_is_no_text() -> None:
    assert parse("<body><?php echo 'evil' ?><p>seen").text == "seen"
