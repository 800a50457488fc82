"""What a page's styles hide, in an element's own and in simple rules; what a reader can open or hear stays."""

import time

import pytest

from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParseLimits

pytestmark = pytest.mark.model

OTHER = "<h1>Kestrel</h1><p>The K2 boils a litre of water in ninety seconds.</p>"


def read(page: str) -> tuple[bool, list[str]]:
    parsed = parse_html(FileContent(b"", "text/html", f"{OTHER}{page}"), ParseLimits())
    return "evil" in parsed.text, parsed.warnings


OWN = [
    '<font color="#ffffff">evil</font>',
    '<p style="height:0;overflow:hidden">evil</p>',
    '<p style="overflow:hidden; max-height: 0px">evil</p>',
    '<p style="width:0;overflow:hidden">evil</p>',
    '<p style="clip-path: inset(100%)">evil</p>',
    '<p style="position:absolute;clip:rect(0, 0, 0, 0)">evil</p>',
    '<p style="text-indent:-9999px">evil</p>',
]
RULES = [
    ".x{display:none}",
    "#y{visibility:hidden}",
    "h4, p.x , h5{font-size:0}",
    "p{a:b}/* } */.x{opacity:0}",
    ".x{height:0;overflow:hidden}",
    "@import 'a.css';@media print{.z{color:red}}.x{display:none!important}",
]


@pytest.mark.parametrize("page", [*OWN, *(f"<style>{rule}</style><p class=x id=y>evil</p>" for rule in RULES)])
def test_what_a_style_hides_is_left_out_and_told(page: str) -> None:
    assert read(page) == (False, ["4 characters of hidden text were left out."])


SEEN = [
    '<p style="height:0">evil</p>',
    '<p style="position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0,0,0,0)">evil</p>',
    '<button>More</button><div style="max-height:0;overflow:hidden">evil</div>',
    "<style>@media print{.x{display:none}}</style><p class=x>evil</p>",
    "<style media=print>.x{display:none}</style><p class=x>evil</p>",
    "<style>.x:hover{display:none} .a .x{display:none}</style><p class=x>evil</p>",
    "<style>.x{display:none} .open .x{display:block}</style><p class=x>evil</p>",
    "<style>.x{display:none} @media (min-width:9em){.x{display:block}}</style><p class=x>evil</p>",
    "<style>.x{display:none}</style><button>More</button><p class=x>evil</p>",
    "<style>.x{display:none}</style><p class=x>evil</p><script>$('.x').show()</script>",
    "<style>.x{display:none}</style><h2 aria-expanded=false aria-controls=y>More</h2><p class=x id=y>evil</p>",
    "<style>.sr-only{position:absolute;left:-9999px}</style><p class=sr-only>evil</p>",
    "<style>.dark{background:#000}.x{color:#fff}</style><div class=dark><p class=x>evil</p></div>",
    "<style>body{opacity:0}</style><p>evil</p>",
]


@pytest.mark.parametrize("page", SEEN)
def test_what_a_reader_may_see_open_or_hear_stays(page: str) -> None:
    assert read(page) == (True, [])


@pytest.mark.parametrize("style", ["a" * 900_000, "{" * 900_000, ".x{" + "height:0;" * 90_000 + "}", "/*" * 400_000])
def test_styles_that_never_end_take_little_time(style: str) -> None:
    start = time.process_time()
    assert read(f"<style>.x{{color:red}}{style}</style><p class=x>evil</p>")[0]
    assert time.process_time() - start < 3
