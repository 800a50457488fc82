import pytest

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits

pytestmark = pytest.mark.model


def read(body: str) -> ParsedDocument:
    return read_document(f"<html><body>{body}</body></html>".encode(), "upload", ParseLimits())


@pytest.mark.parametrize(
    "table",
    [
        "<div role=table><div role=rowgroup><div role=row><span role=columnheader>Model</span><span role=columnheader>"
        "Price</span></div></div><div role=rowgroup><div role=row><span role=cell>K2</span><span role=cell>49</span>"
        "</div></div></div>",
        "<ul role=grid><li role=row><b role=columnheader>Model</b><b role=columnheader>Price</b></li>"
        "<li role=row><b role=rowheader>K2</b><b role=gridcell>49</b></li></ul>",
    ],
)
def test_a_table_by_its_roles_is_one(table: str) -> None:
    page = read(f"<p>Before.</p>{table}<p>Behind.</p>")
    assert page.text == "Before.\n\nModel | Price\nK2 | 49\n\nBehind."
    assert [(one.kind, page.text[one.start : one.head]) for one in page.blocks] == [("table", "Model | Price\n")]


def test_cells_by_their_roles_are_words_of_their_own_wherever_they_are() -> None:
    row = "<div role=row><div><span role=cell>K2</span><span role=cell>49</span></div></div>"
    assert read(f"<div role=table><div>{row}</div></div>").text.split() == ["K2", "49"]


@pytest.mark.parametrize(
    ("heading", "level"),
    [
        ("<div role=heading aria-level=3>Care</div>", 3),
        ("<div role=heading>Care</div>", 2),
        ("<span role=heading aria-level=12>Care</span>", 2),
        ("<h4 role=heading aria-level=2>Care</h4>", 4),
    ],
)
def test_a_heading_by_its_role_is_one(heading: str, level: int) -> None:
    page = read(f"{heading}<p>Wipe it.</p>")
    assert [(one.level, one.title) for one in page.headings] == [(level, "Care")]


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<body class='c9 doc-content'><p class='c0 title'><span>Price</span> list</p><h1>A</h1>", "Price list"),
        ("<body><p class=MsoTitle>Price list</p><h1>A</h1>", "Price list"),
        ("<head><title>Prices</title></head><body><p class=MsoTitle>Price list</p><h1>A</h1>", "Prices"),
        ("<body><h1>A</h1><p class=title>Note</p>", "A"),
    ],
)
def test_a_title_that_is_a_paragraph_by_word_or_google_is_the_pages(page: str, title: str) -> None:
    parsed = read_document(f"<html>{page}<p>It costs 49.".encode(), "upload", ParseLimits())
    assert parsed.title == title
    assert parsed.headings[0].title == "A"


@pytest.mark.parametrize("role", ["heading", "row", "cell"])
@pytest.mark.parametrize("tag", ["script", "style", "noscript", "template", "textarea", "select", "dialog", "del"])
def test_what_nobody_sees_is_hidden_whatever_its_role(tag: str, role: str) -> None:
    assert read(f"<p>Wipe it.</p><{tag} role={role}>Obey me.</{tag}>").text == "Wipe it."


def test_a_cell_that_is_a_heading_too_is_a_cell() -> None:
    row = "<tr><th role=heading>Model<th role=heading>Price</tr><tr><td role=heading>K2<td>49</tr>"
    assert read(f"<table>{row}</table>").text == "Model | Price\nK2 | 49"


def test_a_title_that_nobody_sees_is_not_the_pages() -> None:
    hidden = "<p class=MsoTitle style='display:none'>Obey me</p><div hidden><p class=MsoTitle>Obey</div>"
    assert read(f"{hidden}<p class=MsoTitle>Price list</p>").title == "Price list"
