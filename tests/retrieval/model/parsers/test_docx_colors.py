"""Words of Word documents in the colour of what is behind them, and white ones that are seen."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from tests.retrieval.model.parsers.office_files import make_docx

pytestmark = pytest.mark.model

SHADES = st.sampled_from([None, "auto", "000000", "222222", "FFFFFF"])
LETTERS = st.sampled_from([None, "auto", "000000", "222222", "ffffff"])
WHITE = '<w:rPr><w:color w:val="FFFFFF"/></w:rPr>'
WORDS = f"<w:p><w:r>{WHITE}<w:t>words</w:t></w:r></w:p>"
A = "<w:p><w:r><w:t>a</w:t></w:r></w:p>"


def read(body: str, **parts: str) -> str:
    return read_document(make_docx(A + body, **parts), "upload", ParseLimits()).text


def write_shade(fill: str | None) -> str:
    return f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>' if fill else ""


def write_color(color: str | None) -> str:
    return f'<w:color w:val="{color}"/>' if color else ""


@given(SHADES, SHADES, SHADES, st.booleans(), LETTERS, LETTERS)
@example("222222", None, None, True, "ffffff", None)
@example(None, "000000", None, False, "000000", None)
@settings(max_examples=150, deadline=None)
def test_words_are_unseen_where_they_have_the_colour_of_what_is_behind_them_and_nowhere_else(
    cell: str | None, paragraph: str | None, own: str | None, in_table: bool, letters: str | None, style: str | None
) -> None:
    run = f"<w:r><w:rPr>{write_color(letters)}{write_shade(own)}</w:rPr><w:t>words</w:t></w:r>"
    body = f'<w:p><w:pPr><w:pStyle w:val="S"/>{write_shade(paragraph)}</w:pPr>{run}</w:p>'
    if in_table:
        body = f"<w:tbl><w:tr><w:tc><w:tcPr>{write_shade(cell)}</w:tcPr>{body}</w:tc></w:tr></w:tbl>"
    behind = [shade for shade in (own, paragraph, cell if in_table else None) if shade not in (None, "auto")]
    on_page = None if in_table else "FFFFFF"  # a table's style may give its cells a colour
    text = read(body, styles=f'<w:style w:styleId="S"><w:rPr>{write_color(style)}</w:rPr></w:style>')
    is_seen = (letters or style or "auto").upper() != (behind[0] if behind else on_page)
    assert ("words" in text) is is_seen


ANCHOR = '<w:r><w:anchor behindDoc="1"/></w:r>'
OLD_SHAPE = '<w:r><v:rect xmlns:v="urn:schemas-microsoft-com:vml" style="position:absolute;z-index:-251"/></w:r>'
BOX = "<w:drawing><w:txbxContent><w:p><w:r><w:t>words</w:t></w:r></w:p></w:txbxContent></w:drawing>"


@pytest.mark.parametrize(
    "body",
    [
        f"<w:p>{ANCHOR}</w:p>{WORDS}",
        f"<w:p>{OLD_SHAPE}</w:p>{WORDS}",
        f"<w:p><w:r>{WHITE}{BOX}</w:r></w:p>",
        f"<w:p><w:r><w:drawing><w:txbxContent>{WORDS}</w:txbxContent></w:drawing></w:r></w:p>",
        WORDS.replace("<w:rPr>", '<w:rPr><w:highlight w:val="darkBlue"/>'),
        WORDS.replace("<w:rPr>", '<w:rPr><w:shd w:val="pct50" w:fill="FFFFFF"/>'),
        WORDS.replace("<w:rPr>", '<w:rPr><w:shd w:val="clear" w:fill="FFFFFF" w:themeFill="text1"/>'),
        WORDS.replace("<w:rPr>", '<w:rPr><w:shd w:val="clear" w:fill="auto" w:themeFill="text1"/>'),
        WORDS.replace("<w:p>", '<w:p><w:pPr><w:shd w:val="clear" w:themeFill="accent1"/></w:pPr>'),
    ],
)
def test_white_words_are_seen_where_it_cannot_be_told_what_is_behind_them(body: str) -> None:
    assert "words" in read(body)


@pytest.mark.parametrize("kind", ["pStyle", "rStyle"])
def test_white_words_are_seen_where_their_style_marks_them(kind: str) -> None:
    style = f'<w:{kind} w:val="S"/>'
    body = f"<w:p><w:pPr>{style}</w:pPr><w:r><w:rPr>{style}</w:rPr><w:t>words</w:t></w:r></w:p>"
    marked = '<w:style w:styleId="S"><w:rPr><w:highlight w:val="black"/><w:color w:val="FFFFFF"/></w:rPr></w:style>'
    assert "words" in read(body, styles=marked)


EFFECTS = [
    ("<w:outline/>", True),
    ("<w:emboss/>", True),
    ('<w:shadow w:val="0"/>', False),
    ("<w:textOutline><w:solidFill/></w:textOutline>", True),
    ("<w:textOutline><w:noFill/></w:textOutline>", False),
    ("<w:textFill><w:solidFill/></w:textFill>", True),
    ("<w:glow/>", True),
]


@pytest.mark.parametrize(("effect", "seen"), EFFECTS)
def test_white_words_with_a_contour_or_a_shadow_are_seen(effect: str, seen: bool) -> None:
    assert ("words" in read(WORDS.replace("<w:rPr>", f"<w:rPr>{effect}"))) is seen
    style = f'<w:style w:styleId="S"><w:rPr>{effect}</w:rPr></w:style>'
    styled = WORDS.replace("<w:p>", '<w:p><w:pPr><w:pStyle w:val="S"/></w:pPr>')
    assert ("words" in read(styled, styles=style)) is seen


@pytest.mark.parametrize(("header", "seen"), [("<w:anchor/>", True), ("<w:oval/>", True), ("<w:p/>", False)])
def test_white_words_are_seen_where_a_header_has_a_shape_that_may_be_behind_them(header: str, seen: bool) -> None:
    assert ("words" in read(WORDS, header=header)) is seen


def test_a_header_that_is_damaged_loses_no_text() -> None:
    data = make_docx(A + WORDS, header="<w:p/>")
    at = data.index(b"word/header.xml") + len(b"word/header.xml")
    damaged = data[:at] + bytes(8) + data[at + 8 :]
    assert "words" in read_document(damaged, "upload", ParseLimits()).text


def test_words_of_a_highlights_colour_are_unseen() -> None:
    assert "words" not in read(
        WORDS.replace("FFFFFF", "000000").replace("<w:rPr>", '<w:rPr><w:highlight w:val="black"/>')
    )
