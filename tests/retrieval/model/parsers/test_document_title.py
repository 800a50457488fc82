"""Each passage stands under its document's name and its own chapter, and under no other chapter's."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.points import contextualize
from tests.retrieval.model.parsers.office_files import make_docx, make_odt
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model

Chapters = Sequence[tuple[str, str]]

_STYLES = '<w:style w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'


def write_markdown(title: str, chapters: Chapters) -> bytes:
    front = f"---\ntitle: {title}\n---\n\n" if title else ""
    return (front + "\n".join(f"# {name}\n\n{text}\n" for name, text in chapters)).encode()


def write_html(title: str, chapters: Chapters) -> bytes:
    body = "".join(f"<h1>{name}</h1><p>{text}</p>" for name, text in chapters)
    return f"<html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def write_docx(_title: str, chapters: Chapters) -> bytes:
    heading = '<w:p><w:pPr><w:pStyle w:val="H1"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    body = "".join(f"{heading.format(name)}<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for name, text in chapters)
    return make_docx(body, styles=_STYLES)


def write_odt(_title: str, chapters: Chapters) -> bytes:
    heading = '<text:h text:outline-level="1">{}</text:h>'
    return make_odt("".join(f"{heading.format(name)}<text:p>{text}</text:p>" for name, text in chapters))


WRITERS: Mapping[str, Callable[[str, Chapters], bytes]] = {
    "md": write_markdown,
    "html": write_html,
    "docx": write_docx,
    "odt": write_odt,
}
NAMES = ("Warranty", "Returns", "Cleaning", "Descaling", "Spare parts")


def read_places(kind: str, title: str, chapters: Chapters) -> dict[str, str]:
    """Return where each chapter's text stands, as a search shows it."""
    filename = f"hob-manual.{kind}"
    parsed = read_document(WRITERS[kind](title, chapters), filename, ParseLimits())
    chunks = contextualize(parsed, ingest_request(filename=filename), word_offsets, window=256)
    return {text: chunk.heading or filename for _, text in chapters for chunk in chunks if text in chunk.text}


@pytest.mark.parametrize("kind", WRITERS)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True),
    title=st.sampled_from(["", "Kestrel K2 manual"]),
)
def test_no_chapter_names_another(kind: str, names: list[str], title: str) -> None:
    chapters = [(name, f"Of number {number} it takes two years. " * 12) for number, name in enumerate(names)]
    given_title = title if kind in ("md", "html") else ""
    places = read_places(kind, given_title, [(name, text.strip()) for name, text in chapters])
    assert len(places) == len(names)
    for name, place in zip(names, places.values(), strict=True):
        assert place == f"{given_title or 'hob manual'} > {name}"


@pytest.mark.parametrize("kind", WRITERS)
def test_the_only_chapter_and_a_first_one_without_text_name_the_document(kind: str) -> None:
    assert read_places(kind, "", [("Kestrel K2", "Two years.")]) == {"Two years.": "Kestrel K2"}
    chapters = [("Kestrel K2", ""), ("Warranty", "Two years. " * 12), ("Returns", "A month. " * 20)]
    places = read_places(kind, "", [(name, text.strip()) for name, text in chapters])
    assert [*places.values()][1:] == ["Kestrel K2 > Warranty", "Kestrel K2 > Returns"]


@pytest.mark.parametrize(
    ("title", "heading", "place"),
    [
        ("Kestrel K2 manual", "Warranty", "Kestrel K2 manual > Warranty"),
        ("Warranty | Kestrel K2", "Warranty", "Warranty | Kestrel K2"),
        ("Untitled document", "Kestrel K2", "Kestrel K2"),
        ("k2.docx", "Kestrel K2", "Kestrel K2"),
        ("Node.js", "Streams", "Node.js > Streams"),
    ],
)
def test_what_a_page_is_called_names_it_before_its_heading_does(title: str, heading: str, place: str) -> None:
    assert read_places("html", title, [(heading, "Two years.")]) == {"Two years.": place}
    assert read_places("md", title, [(heading, "Two years.")]) == {"Two years.": place}
