"""What Office files have beside their paragraphs and cells: charts, diagrams, text boxes, and whole files inserted."""

import io
import zipfile

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from tests.retrieval.model.parsers.office_files import FILES, make_docx, make_xlsx, pack

pytestmark = pytest.mark.model

SPACES = "xmlns:a='a' xmlns:c='c' xmlns:d='d' xmlns:r='r'"
CHART = (
    f"<c:chartSpace {SPACES}><c:chart><c:title><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:title><c:plotArea><c:ser>"
    "<c:tx><c:v>2026</c:v></c:tx><c:cat><c:pt idx='0'><c:v>East</c:v></c:pt></c:cat><c:val><c:pt idx='0'>"
    "<c:v>7</c:v></c:pt></c:val></c:ser></c:plotArea></c:chart></c:chartSpace>"
)
SHAPE = (
    "<d:sp><d:nvSpPr><d:cNvPr id='1' name=''/></d:nvSpPr><d:txBody><a:p><a:r><a:t>Prices</a:t></a:r></a:p>"
    "<a:p><a:r><a:t>are net.</a:t></a:r></a:p></d:txBody></d:sp>"
)


def read(data: bytes, name: str = "upload") -> ParsedDocument:
    return read_document(data, name, ParseLimits())


def add(data: bytes, owner: str, **parts: tuple[str, str, str | bytes]) -> bytes:
    """Add parts that a part refers to: relation → kind, name, content."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        all_parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    folder, _, base = owner.rpartition("/")
    rows = "".join(
        f"<Relationship Id='{id}' Type='x/{kind}' Target='/{name}'/>" for id, (kind, name, _) in parts.items()
    )
    all_parts[f"{folder}/_rels/{base}.rels"] = f"<Relationships>{rows}</Relationships>"
    return pack({**all_parts, **{name: content for _, name, content in parts.values()}})


def test_a_chart_and_a_diagram_of_a_text_stand_behind_their_paragraph() -> None:
    drawn = f"<w:drawing {SPACES}><c:chart r:id='c1'/></w:drawing><w:drawing {SPACES}><d:relIds r:dm='d1'/></w:drawing>"
    body = f"<w:p><w:r><w:t>Above.</w:t>{drawn}</w:r></w:p><w:p><w:r><w:t>Below.</w:t></w:r></w:p>"
    points = f"<d:dataModel {SPACES}><d:pt><d:t><a:p><a:r><a:t>Boil</a:t></a:r></a:p></d:t></d:pt></d:dataModel>"
    chart, diagram = ("chart", "word/c.xml", CHART), ("diagramData", "word/d.xml", points)
    parsed = read(add(make_docx(body), "word/document.xml", c1=chart, d1=diagram))
    assert parsed.text == "Above.\n\nSales\n\n| 2026\nEast | 7\n\n- Boil\n\nBelow."


@pytest.mark.parametrize(
    ("name", "part", "text"),
    [
        ("word/a.htm", b"<html><body><h1>Care</h1><p>Descale it.</p></body></html>", "# Care\n\nDescale it."),
        ("word/a.txt", "Descale ½.".encode("cp1252"), "Descale ½."),
        (
            "word/a.mht",
            b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html; "
            b"charset=utf-8\n\n<h1>Care</h1><p>Descale it.</p>\n--b--\n",
            "# Care\n\nDescale it.",
        ),
        ("word/a.docx", make_docx("<w:p><w:r><w:t>Descale it.</w:t></w:r></w:p>"), "Descale it."),
    ],
)
def test_a_file_that_is_inserted_whole_is_read_in_its_place(name: str, part: bytes, text: str) -> None:
    body = f"<w:p><w:r><w:t>Above.</w:t></w:r></w:p><w:altChunk r:id='a1' {SPACES}/>"
    parsed = read(add(make_docx(body), "word/document.xml", a1=("aFChunk", name, part)))
    assert parsed.text.startswith("Above.\n\n")
    assert parsed.text.endswith(text)


def test_an_inserted_file_that_cannot_be_read_is_told_and_one_in_itself_ends() -> None:
    inner = f"<w:p><w:r><w:t>Text.</w:t></w:r></w:p><w:altChunk r:id='a1' {SPACES}/>"
    first = add(make_docx(inner), "word/document.xml", a1=("aFChunk", "word/a.bin", b"\0\1\2" * 99))
    parsed = read(first)
    assert parsed.text == "Text."
    assert "The inserted file 'word/a.bin' was left out." in parsed.warnings[0]
    second = add(make_docx(inner), "word/document.xml", a1=("aFChunk", "word/a.docx", first))
    assert read(add(make_docx(inner), "word/document.xml", a1=("aFChunk", "word/a.docx", second))).text == (
        "Text.\n\nText."
    )


def test_text_boxes_and_titles_of_charts_of_a_sheet_are_read() -> None:
    frame = (
        "<d:graphicFrame><a:graphic><a:graphicData><c:chart r:id='c1'/></a:graphicData></a:graphic></d:graphicFrame>"
    )
    drawing = f"<d:wsDr {SPACES}><d:twoCellAnchor>{SHAPE}</d:twoCellAnchor><d:oneCellAnchor>{frame}</d:oneCellAnchor>"
    with_boxes = add(
        make_xlsx([["model", "price"], ["K2", "49"]]),
        "xl/worksheets/sheet1.xml",
        d1=("drawing", "xl/drawings/d.xml", f"{drawing}</d:wsDr>"),
    )
    data = add(with_boxes, "xl/drawings/d.xml", c1=("chart", "xl/charts/c.xml", CHART))
    assert read(data).text == "# Prices\n\nmodel | price\nK2 | 49\n\nPrices\nare net.\n\nSales"


@pytest.mark.parametrize("name", ["text.odt", "sheets.ods", "slides.odp"])
def test_an_unpacked_file_reads_as_the_packed_one_that_was_made_of_it(name: str) -> None:
    flat = f"{name[:-3]}f{name[-3:]}"
    source, packed = (FILES / "sources" / flat).read_bytes(), read((FILES / name).read_bytes())
    for called in (flat, "upload", "a.xml"):
        parsed = read(source, called)
        assert (parsed.title, parsed.warnings, parsed.headings[0].title) == (
            *(packed.title, packed.warnings),
            packed.headings[0].title,
        )
        if name != "sheets.ods":  # the source of that has values, and no program has shown them yet
            assert parsed.text == packed.text
    picture = b"<office:binary-data>" + b"QUJD" * (2_600_000 if name == "text.odt" else 9) + b"</office:binary-data>"
    closing = source.rindex(b"</office:body>")
    assert read(source[:closing] + picture + source[closing:], flat).text == parsed.text
    with pytest.raises(DocumentUnreadable, match="broken or was cut off"):
        read(source[: len(source) // 2], flat)


def test_an_unpacked_drawing_is_refused() -> None:
    drawing = "<office:document xmlns:office='o'><office:body><office:drawing/></office:body></office:document>"
    with pytest.raises(DocumentUnreadable, match=r"OpenDocument file of another kind\. Export it as PDF"):
        read(drawing.encode(), "a.fodg.fodt")


@pytest.mark.parametrize("name", ["a.xls", "a.xml", "a"])
@pytest.mark.parametrize(
    ("opening", "says"),
    [
        (
            "<?mso-application progid='Excel.Sheet'?>\n<Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'>",
            "an Excel workbook in the XML of 2003, whatever its name. Save it as .xlsx",
        ),
        (
            "<w:wordDocument xmlns:w='http://schemas.microsoft.com/office/word/2003/wordml'>",
            "an Office document in one XML file, whatever its name. Save it as .docx",
        ),
        (
            "<pkg:package xmlns:pkg='http://schemas.microsoft.com/office/2006/xmlPackage'>",
            "an Office document in one XML file, whatever its name. Save it as .docx",
        ),
        (
            '{"url":"https://docs.google.com/open?id=1","doc_id":"1","email":"a@example.com"}',
            "only a link to a document of Google's, whatever its name. Download that as .docx",
        ),
    ],
)
def test_office_documents_in_one_xml_file_are_refused_with_the_way_out(opening: str, says: str, name: str) -> None:
    with pytest.raises(DocumentUnreadable, match=says):
        read(f"{'' if opening[0] == '{' else XML}{opening}text".encode(), name)


XML = "<?xml version='1.0'?>\n"


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


TICKED = "<w:checkBox><w:checked w:val='1'/></w:checkBox>"
CHOICES = "<w:ddList><w:result w:val='1'/><w:listEntry w:val='a'/><w:listEntry w:val='b'/></w:ddList>"
FORM = "<w:r><w:fldChar w:fldCharType='begin'><w:ffData>{}</w:ffData></w:fldChar></w:r>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (f"<w:p><w:pPr><w:framePr w:dropCap='drop'/></w:pPr>{run('O')}</w:p><w:p>{run('nce.')}</w:p>", "Once."),
        (f"<w:p><w:pPr><w:framePr w:dropCap='margin'/></w:pPr>{run('Only')}</w:p>", "Only"),
        (f"<w:p><w:pPr><w:framePr w:dropCap='none'/></w:pPr>{run('A')}</w:p><w:p>{run('b')}</w:p>", "A\n\nb"),
        (f"<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>{run('One ')}</w:p><w:p>{run('two.')}</w:p>", "One two."),
        (f"<w:p>{FORM.format(TICKED)}{run(' yes')}</w:p>", "☒ yes"),
        (f"<w:p>{FORM.format(TICKED.replace('1', '0'))}{run(' no')}</w:p>", "☐ no"),
        (f"<w:p>{FORM.format(CHOICES)}</w:p>", "b"),
        (
            f"<w:p><w:r><w:pict><v:textpath xmlns:v='v' string='Hot offer'/></w:pict></w:r>{run('.')}</w:p>",
            "Hot offer.",
        ),
    ],
)
def test_paragraphs_that_are_one_are_joined_and_what_forms_show_is_read(body: str, text: str) -> None:
    assert read(make_docx(body)).text == text
