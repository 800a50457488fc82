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
    '<p style="height:0;overflow:hidden;padding:0 10px">evil</p>',
    '<button>More</button><p>a</p><div><p style="max-height:0;overflow:hidden">evil</p></div>',
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
    ".x{display:none} .x::before{display:block} ::after{display:block}",
    ".x{display:none} ul li{display:block} a:hover{display:block}",
    "@import 'a.css';@media print{.z{color:red}}.x{display:none!important}",
]


@pytest.mark.parametrize("page", [*OWN, *(f"<style>{rule}</style><p class=x id=y>evil</p>" for rule in RULES)])
def test_what_a_style_hides_is_left_out_and_told(page: str) -> None:
    assert read(page) == (False, ["4 characters of hidden text were left out."])


SEEN = [
    '<p style="height:0">evil</p>',
    '<p style="position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0,0,0,0)">evil</p>',
    '<button>More</button><div style="max-height:0;overflow:hidden">evil</div>',
    '<div><h3><button>More</button></h3></div><!-- a --><div style="max-height:0;overflow:hidden">evil</div>',
    '<button>More</button><div><div style="max-height:0;overflow:hidden">evil</div></div>',
    '<div style="height:0;overflow:hidden;padding-bottom:56.25%">evil</div>',
    "<style>.x{height:0;overflow:hidden;padding-top:50%}</style><p class=x>evil</p>",
    "<style>.x{height:0;overflow:hidden} .z{padding-top:.5em}</style><p class='x z'>evil</p>",
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
    r"<style>.x{display:none} @media (min-width:9em){.md\:block{display:block}}</style><p class='x md:block'>evil</p>",
    r"<style>.x{display:none} .sm\:flex{display:flex}</style><p class='x sm:flex'>evil</p>",
    "<style>.x{display:none} :target{display:block}</style><p class=x id=y>evil</p>",
    "<style>.x{display:none} input:checked + p{display:block}</style><input type=checkbox><p class=x>evil</p>",
    "<style>.x{display:none} .a p:nth-child(1){display:block}</style><div class=a><p class=x>evil</p></div>",
    "<style>.x{display:none} [data-open]{display:block}</style><p class=x data-open>evil</p>",
    "<style>.x{display:none} .a:hover > *{display:block}</style><div class=a>b<p class=x>evil</p></div>",
    "<style>.x{opacity:0;animation:fade 1s forwards}</style><p class=x>evil</p>",
    "<style>.x{opacity:0}</style><p class=x>evil</p><script src=fade.js></script>",
    "<style>.x{display:none}</style><a href=# onclick=\"show('y')\">More</a><p>a</p><p class=x id=y>evil</p>",
    "<style>.x{display:none}</style><a data-toggle=collapse data-target='#y'>More</a><p>a</p><p class=x id=y>evil</p>",
    "<style>.x{display:none}</style><p><a href='#y'>More</a></p><p>a</p><p class=x id=y>evil</p>",
    "<style>.x{font-size:0} .z{font-size:16px}</style><div class=x><p class=z>evil</p></div>",
    "<style>.x{visibility:hidden} .z{visibility:visible}</style><div class=x><p class=z>evil</p></div>",
]


@pytest.mark.parametrize("page", SEEN)
def test_what_a_reader_may_see_open_or_hear_stays(page: str) -> None:
    assert read(page) == (True, [])


@pytest.mark.parametrize(
    "style",
    ["a" * 900_000, "{" * 900_000, ".x{" + "height:0;" * 90_000 + "}", "/*" * 400_000, "a" * 900_000 + ">{height:1px}"],
)
def test_styles_that_never_end_take_little_time(style: str) -> None:
    start = time.process_time()
    assert read(f"<style>.x{{color:red}}{style}</style><p class=x>evil</p>")[0]
    assert time.process_time() - start < 3


def test_elements_deep_in_each_other_take_little_time() -> None:
    deep = "<div class=x>" * 200 + "<p class=x>evil</p>" * 20_000
    start = time.process_time()
    assert not read(f"<style>.x{{font-size:0}}</style>{deep}")[0]
    assert time.process_time() - start < 10
