import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed import Parsed

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


def parsed(html: str) -> Parsed:
    return parse_html(html, "text/html")


def test_keeps_headings_tables_lists_and_code() -> None:
    page = parsed(PAGE)
    assert page.text == (
        "# Prices 2026\n\nAdults pay 12\xa0euros.\nDogs travel free.\n\nRoute | Adult\nNorvik | 12\n\n"
        "- Monday\n- Tuesday\n\n## Hours\n\nFrom 8 to 18.\n\ncode  with\n  space\n\nCall 555."
    )
    assert [(found.level, found.title) for found in page.headings] == [(1, "Prices 2026"), (2, "Hours")]
    assert all(page.text[found.start :].startswith("#" * found.level) for found in page.headings)
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
    ],
)
def test_what_a_reader_does_not_see_is_left_out_and_what_follows_stays(hidden: str) -> None:
    assert parsed(f"<body><p>before</p>{hidden}<p>after</p></body>").text == "before\n\nafter"


def test_what_is_faint_or_small_is_still_seen() -> None:
    assert parsed('<p style="opacity:0.5;font-size:0.8em">seen</p>').text == "seen"


def test_a_title_stands_in_for_a_missing_heading() -> None:
    assert parsed("<title> Harbor\n Line </title><p>x").title == "Harbor Line"


def test_nesting_beyond_reason_is_read_without_a_fall() -> None:
    assert "deep" in parsed("<div>" * 200 + "deep" + "</div>" * 200 + "x").text
    assert parsed("start " + "<b>" * 50_000 + "end").text.startswith("start")


@pytest.mark.parametrize("html", ["<html></html>", "<body><script>x</script></body>", "<p hidden>x</p>", "<!-- -->"])
def test_a_page_that_shows_nothing_is_empty(html: str) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        parsed(html)
    assert caught.value.code == "empty_file"
