import pytest
from lxml import html

from retrieval.parsers.child import read_document
from retrieval.parsers.html_disclosures import open_disclosures
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from tests.processor_time import measure

pytestmark = pytest.mark.model


def read(body: str) -> ParsedDocument:
    return read_document(f"<html><body><h1>FAQ</h1>{body}</body></html>".encode(), "upload", ParseLimits())


@pytest.mark.parametrize(
    "question",
    [
        "<h3><button aria-expanded=false aria-controls=a>How long?</button></h3><div id=a role=region hidden>{}</div>",
        "<button aria-expanded=false aria-controls=a>How long?</button><div id=a style='display: none'>{}</div>",
        "<div role=button aria-expanded=false aria-controls='x a'>How long?</div><p id=a aria-hidden=true>{}",
        "<h2><button aria-expanded=false>How long?</button></h2><div aria-hidden=true>{}</div>",
        "<h2 aria-expanded=false>How long?</h2><div hidden>{}</div>",
    ],
)
def test_an_answer_that_a_click_opens_is_on_the_page(question: str) -> None:
    page = read(question.format("24 months, <a href=x>see here</a>."))
    assert page.text.replace("#", "").split() == "FAQ How long? 24 months, see here.".split()
    assert page.warnings == []


@pytest.mark.parametrize(
    "hidden",
    [
        "<button aria-expanded=false aria-controls=a>All</button><ul id=a hidden><li><a href=x>Gone</a></ul>",
        "<button aria-expanded=false>All</button><div hidden>Gone</div>",
        "<div hidden><button aria-expanded=false aria-controls=a>All</button></div><p id=a hidden>Gone</p>",
        "<h2>All</h2><div hidden>Gone</div>",
        "<h2><button aria-expanded=false aria-controls=a>All</button></h2><nav id=a hidden>Gone</nav>",
        "<div hidden id=a><button aria-expanded=false aria-controls=a>Gone</button></div>",
        "<b aria-expanded=false aria-controls=a></b><p id=a hidden>Gone</p>",
        "<b aria-expanded=false aria-controls=a><i hidden>How long?</i> </b><p id=a hidden>Gone</p>",
        "<noscript><b aria-expanded=false aria-controls=a>How long?</b></noscript><p id=a hidden>Gone</p>",
        "<template><b aria-expanded=false aria-controls=a>How long?</b></template><p id=a hidden>Gone</p>",
        "<div role=dialog><b aria-expanded=false aria-controls=a>How long?</b></div><p id=a hidden>Gone</p>",
        f"<div aria-expanded=false aria-controls=a>{'It boils. ' * 40}<p id=a hidden>Gone</p></div>",
    ],
)
def test_what_no_click_opens_and_menus_stay_closed(hidden: str) -> None:
    assert "Gone" not in read(hidden).text


def test_parts_within_each_other_are_looked_through_in_time() -> None:
    openers = "".join(f"<button aria-expanded=false aria-controls=p{n % 200}>a</button>" for n in range(5000))
    panels = "".join(f"<div id=p{n} hidden>" for n in range(200))
    text = f"<html><body>{openers}{panels}{'<br>' * 5000}</body></html>"
    assert measure(lambda: open_disclosures(html.document_fromstring(text))) < 1


def test_openers_deep_in_each_other_are_looked_through_in_time() -> None:
    deep = "<div><b aria-expanded=false aria-controls='p p'>a" * 800
    text = f"<html><body>{deep}<div id=p style='display:none;opacity:0'></div></body></html>"
    root = html.document_fromstring(text, parser=html.HTMLParser(huge_tree=True))
    assert measure(lambda: open_disclosures(root)) < 1
