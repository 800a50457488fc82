"""Numbers of OpenDocument's lists and headings, and what is embedded in its texts."""

import io
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from tests.retrieval.model.parsers.office_files import make_odt, pack

pytestmark = pytest.mark.model

NUMBER = "<text:{}-level-style{} text:level='{}' style:num-format='{}' style:num-suffix='.' text:display-levels='{}'/>"
LIST = "".join(
    NUMBER.format("list", "-number", level, form, shown)
    for level, form, shown in [(1, "1", 1), (2, "1", 2), (3, "i", 1)]
)
LISTS = f"<text:list-style style:name='L'>{LIST}</text:list-style>"


def read(body: str, styles: str = LISTS) -> str:
    return read_document(make_odt(body, styles=styles), "upload", ParseLimits()).text


def item(*contents: str) -> str:
    return "<text:list-item>" + "".join(contents) + "</text:list-item>"


def paragraph(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def listing(*items: str, **attributes: str) -> str:
    written = "".join(f" {name.replace('_', ':', 1).replace('_', '-')}='{value}'" for name, value in attributes.items())
    return f"<text:list text:style-name='L'{written}>{''.join(items)}</text:list>"


def test_a_list_goes_on_where_it_says_so_and_else_begins_anew() -> None:
    first = listing(item(paragraph("a")), item(paragraph("b"), listing(item(paragraph("c")))), xml_id="l1")
    on = [{"text_continue_numbering": "true"}, {"text_continue_list": "l1"}, {}]
    for attributes, number in zip(on, ("3", "3", "1"), strict=True):
        body = f"{first}{paragraph('x')}{listing(item(paragraph('d')), **attributes)}"
        assert read(body) == f"1. a\n2. b\n  2.1. c\n\nx\n\n{number}. d"


def test_an_item_that_has_only_a_list_in_it_counts_nothing() -> None:
    first = listing(item(paragraph("a"), listing(item(paragraph("b")))), xml_id="l1")
    second = listing(item(listing(item(paragraph("c")))), item(paragraph("d")), text_continue_list="l1")
    assert read(f"{first}{paragraph('x')}{second}") == "1. a\n  1.1. b\n\nx\n\n  1.2. c\n2. d"


def test_numbers_have_their_form() -> None:
    deep = listing(item(paragraph("i")), item(paragraph("ii")))
    body = listing(item(paragraph("a"), listing(item(paragraph("b"), deep))))
    assert read(body) == "1. a\n  1.1. b\n    i. i\n    ii. ii"


def test_headings_have_the_numbers_of_their_outline() -> None:
    levels = "".join(NUMBER.format("outline", "", level, "1", level) for level in (1, 2))
    headings = [
        (1, "One", ""),
        (2, "In it", ""),
        (2, "More", ""),
        (1, "Bare", "text:is-list-header='true'"),
        (1, "Two", ""),
    ]
    body = "".join(f"<text:h text:outline-level='{level}' {more}>{title}</text:h>" for level, title, more in headings)
    outline = f"<text:outline-style>{levels}</text:outline-style>"
    assert read(body, outline) == "# 1. One\n\n## 1.1. In it\n\n## 1.2. More\n\n# Bare\n\n# 2. Two"
    assert read(body, "") == "# One\n\n## In it\n\n## More\n\n# Bare\n\n# Two"


MATH = "<math xmlns='http://www.w3.org/1998/Math/MathML'><semantics><mrow>{}</mrow><annotation>x</annotation></semantics></math>"


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac>", "a/(b+1)"),
        ("<msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><mn>4</mn>", "x^2=4"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "x_i^2"),
        ("<msqrt><mi>a</mi><mo>+</mo><mi>b</mi></msqrt>", "√(a+b)"),
        ("<mfrac><mi>a</mi></mfrac>", "a"),
    ],
)
def test_a_formula_stands_in_its_line_packed_or_not(formula: str, text: str) -> None:
    inline = f"<draw:frame><draw:object>{MATH.format(formula)}</draw:object></draw:frame>"
    assert read(paragraph(f"So {inline} here.")) == f"So {text} here."
    assert embed("<draw:frame><draw:object href='./Object 1'/></draw:frame>", MATH.format(formula)) == f"So {text}."


def embed(frame: str, content: str) -> str:
    with zipfile.ZipFile(io.BytesIO(make_odt(paragraph(f"So {frame}.")))) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return read_document(pack({**parts, "Object 1/content.xml": content}), "upload", ParseLimits()).text


def test_a_chart_is_a_title_and_a_table_and_what_is_no_opendocument_is_left() -> None:
    frame = "<draw:frame><draw:object href='./Object 1'/><draw:image href='./Replacement'/></draw:frame>"
    rows = [("", "2026"), ("East", "7")]
    cells = "".join(
        f"<table-row>{''.join(f'<table-cell><p>{cell}</p></table-cell>' for cell in row)}</table-row>" for row in rows
    )
    chart = f"<document-content><body><chart><chart><title><p>Sales</p></title><table>{cells}</table></chart></chart>"
    assert embed(frame, f"{chart}</body></document-content>") == "So .\n\nSales\n\n| 2026\nEast | 7"
    assert read(paragraph(f"So {frame}.")) == "So ."


STYLE = "<style:style style:name='{}' style:family='{}' {}>{}</style:style>"
LOOK = "xmlns:f='urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0'"
COLOR = f"<style:text-properties {LOOK} f:color='{{}}'/>"
DARK = f"<style:paragraph-properties {LOOK} f:background-color='#222222'/>"
WHITES = "".join(
    [
        STYLE.format("W", "paragraph", "", COLOR.format("#FFFFFF")),
        STYLE.format("Child", "paragraph", "style:parent-style-name='W'", ""),
        STYLE.format("Black", "paragraph", "style:parent-style-name='W'", COLOR.format("#000000")),
        STYLE.format("Painted", "paragraph", "style:parent-style-name='W'", DARK),
        STYLE.format("B", "text", "", COLOR.format("#000000")),
    ]
)


@pytest.mark.parametrize("style", ["W", "Child"])
@pytest.mark.parametrize("name", ["p", "h"])
def test_a_paragraph_in_white_is_left_out_and_told_but_for_words_in_another_colour(style: str, name: str) -> None:
    body = (
        f"<text:{name} text:style-name='{style}'>evil<text:span text:style-name='B'>seen</text:span>evil</text:{name}>"
    )
    parsed = read_document(make_odt(paragraph("a") + body, styles=WHITES), "upload", ParseLimits())
    assert "evil" not in parsed.text
    assert "seen" in parsed.text
    assert parsed.warnings == ["8 characters of hidden text were left out."]


@pytest.mark.parametrize("style", ["Black", "Painted"])
def test_a_paragraph_in_white_on_a_ground_is_seen(style: str) -> None:
    assert read(f"<text:p text:style-name='{style}'>seen</text:p>", WHITES) == "seen"


WHITE = STYLE.format("W", "paragraph", "style:parent-style-name='G'", COLOR.format("#ffffff"))
WHITE += STYLE.format("T", "text", "", COLOR.format("#ffffff"))
PAGE = f"<style:page-layout style:name='P'><style:page-layout-properties {LOOK} {{}}/></style:page-layout>"
SECTION = f"<style:section-properties {LOOK} f:background-color='{{}}'/>"
GROUNDS = [
    (STYLE.format("G", "paragraph", "", DARK), True),
    (STYLE.format("G", "paragraph", "", DARK.replace("222222", "FFFFFF")), False),
    (STYLE.format("S", "section", "", SECTION.format("#222222")), True),
    (STYLE.format("S", "section", "", SECTION.format("transparent")), False),
    (PAGE.format("f:background-color='#222222'"), True),
    (PAGE.format("draw:fill='bitmap'"), True),
    (PAGE.format("f:background-color='#ffffff'"), False),
]


@pytest.mark.parametrize(("ground", "seen"), GROUNDS)
def test_white_text_is_seen_where_its_style_its_section_or_the_page_is_painted(ground: str, seen: bool) -> None:
    body = "<text:section text:style-name='S'><text:p text:style-name='W'>words</text:p></text:section>"
    assert ("words" in read(body + "<text:p>a</text:p>", WHITE + ground)) is seen


@pytest.mark.parametrize(("ground", "seen"), GROUNDS[2:])
def test_white_words_are_seen_on_a_painted_section_or_page(ground: str, seen: bool) -> None:
    words = "<text:p>a <text:span text:style-name='T'>words</text:span></text:p>"
    body = f"<text:section text:style-name='S'>{words}</text:section>"
    assert ("words" in read(body, WHITE + ground)) is seen


def test_white_words_of_a_frame_are_seen_since_it_may_be_filled() -> None:
    frame = "<draw:frame><draw:text-box><text:p text:style-name='W'>seen</text:p></draw:text-box></draw:frame>"
    assert "seen" in read(f"<text:p>a{frame}</text:p>", WHITES)


PLACES = ["section", "table", "table-row", "table-cell", "paragraph", "text"]
"""Families of styles that may put a colour behind a text, the outermost first."""
COLORS = st.sampled_from([None, "transparent", "#000000", "#222222", "#ffffff"])
LETTERS = st.sampled_from([None, "auto", "#000000", "#222222", "#FFFFFF"])
LOOKS = st.fixed_dictionaries({place: COLORS for place in PLACES})


def write_look(family: str, ground: str | None, color: str | None) -> str:
    """Write the style `S` of a family."""
    behind = f" f:background-color='{ground}'" if ground else ""
    letters = " style:use-window-font-color='true' f:color='#ffffff'" if color == "auto" else f" f:color='{color}'"
    own = f"<style:{family}-properties {LOOK}{behind}/>" if family != "text" else ""
    text = f"<style:text-properties {LOOK}{letters if color else ''}{behind if family == 'text' else ''}/>"
    return STYLE.format("S", family, "", own + text)


@given(LOOKS, st.sampled_from([None, "#ffffff", "#222222"]), LETTERS, LETTERS, st.booleans())
@example(dict.fromkeys(PLACES) | {"table-cell": "#222222"}, None, "#FFFFFF", None, True)
@example(dict.fromkeys(PLACES) | {"paragraph": "#000000"}, None, "#000000", None, False)
@settings(max_examples=150, deadline=None)
def test_words_are_unseen_where_they_have_the_colour_of_what_is_behind_them_and_nowhere_else(
    grounds: dict[str, str | None], page: str | None, color: str | None, own: str | None, lays_out: bool
) -> None:
    row = "<table:table-row table:style-name='S'><table:table-cell table:style-name='S'>{}</table:table-cell>"
    row += (
        "</table:table-row>"
        if lays_out
        else "<table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>"
    )
    words = "<text:p text:style-name='S'><text:span text:style-name='S'>words</text:span></text:p>"
    table = f"<table:table table:style-name='S'>{row.format(words)}</table:table>"
    styles = "".join(
        write_look(place, ground, {"paragraph": color, "text": own}.get(place)) for place, ground in grounds.items()
    )
    styles += PAGE.format(f"f:background-color='{page}'") if page else ""
    behind = [grounds[place] for place in PLACES if grounds[place] not in (None, "transparent")]
    on_paper = "#ffffff" if page in (None, "#ffffff") else None  # pages may differ in it
    letters = (own or color or "auto").lower()
    is_seen = letters != (behind[-1] if behind else on_paper)
    text = read(f"<text:p>a</text:p><text:section text:style-name='S'>{table}</text:section>", styles)
    assert ("words" in text) is is_seen


@pytest.mark.parametrize(
    ("body", "styles"),
    [
        ("<table:table table:template-name='T'>{}</table:table>", ""),
        ("<table:table><table:table-column table:default-cell-style-name='T'/>{}</table:table>", ""),
        (
            "<text:p><draw:frame draw:style-name='F'/></text:p><table:table>{}</table:table>",
            "style:run-through='background'",
        ),
        ("<draw:frame><draw:text-box><table:table>{}</table:table></draw:text-box></draw:frame>", ""),
    ],
)
def test_white_words_are_seen_where_it_cannot_be_told_what_is_behind_them(body: str, styles: str) -> None:
    row = "<table:table-row><table:table-cell><text:p text:style-name='W'>words</text:p></table:table-cell>"
    styles = STYLE.format("F", "graphic", "", f"<style:graphic-properties {styles}/>")
    assert "words" in read(body.format(f"{row}</table:table-row>"), WHITES + styles)


@pytest.mark.parametrize("part", ["f:background-color='#222222'", "draw:fill='gradient'"])
def test_white_words_are_seen_on_the_colour_of_their_letters_style_whatever_the_paragraph_has(part: str) -> None:
    paper = f"<style:paragraph-properties {LOOK} f:background-color='#ffffff'/>"
    letters = f"<style:text-properties {LOOK} f:color='#ffffff' {part}/>"
    assert (
        read("<text:p text:style-name='S'>seen</text:p>", STYLE.format("S", "paragraph", "", paper + letters)) == "seen"
    )


def test_a_note_in_white_is_unseen_whatever_its_section_has_behind_it() -> None:
    note = "<text:note><text:note-body><text:p text:style-name='W'>evil</text:p></text:note-body></text:note>"
    section = f"<text:section text:style-name='S'><text:p>seen{note}</text:p></text:section>"
    styles = WHITES + STYLE.format("S", "section", "", SECTION.format("#222222"))
    text = read(section, styles)
    assert "seen" in text
    assert "evil" not in text


@pytest.mark.parametrize("effect", ["f:text-shadow='1pt 1pt'", "style:font-relief='embossed'"])
@pytest.mark.parametrize(("family", "name"), [("paragraph", "p"), ("text", "span")])
def test_white_words_with_a_shadow_or_a_relief_are_seen(effect: str, family: str, name: str) -> None:
    words = f"<text:{name} text:style-name='S'>words</text:{name}>"
    body = "<text:p>a</text:p>" + (words if name == "p" else paragraph(words))
    text = f"<style:text-properties {LOOK} f:color='#ffffff' {{}}/>"
    assert "words" in read(body, STYLE.format("S", family, "", text.format(effect)))
    nothing = f"{effect.split('=')[0]}='none'"
    assert "words" not in read(body, STYLE.format("S", family, "", text.format(nothing)))


def test_white_words_are_seen_on_a_painted_bibliography() -> None:
    words = "<text:index-body><text:p text:style-name='W'>words</text:p></text:index-body>"
    body = f"<text:p>a</text:p><text:bibliography text:style-name='S'>{words}</text:bibliography>"
    assert "words" in read(body, WHITES + STYLE.format("S", "section", "", SECTION.format("#222222")))


@pytest.mark.parametrize("shape", ["circle", "regular-polygon", "polyline", "caption"])
def test_white_words_are_seen_beside_and_in_shapes_of_all_kinds(shape: str) -> None:
    words = "<text:p text:style-name='W'>words</text:p>"
    behind = STYLE.format("F", "graphic", "", "<style:graphic-properties style:run-through='background'/>")
    assert "words" in read(f"<text:p>a<draw:{shape} draw:style-name='F'/></text:p>{words}", WHITES + behind)
    assert "words" in read(f"<text:p>a<draw:{shape}>{words}</draw:{shape}></text:p>", WHITES)
