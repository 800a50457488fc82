"""Word, Excel, PowerPoint and OpenDocument: files that LibreOffice wrote, generated ones, and hostile ones."""

import io
import re
import zipfile
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits
from retrieval.parsers.text import clean
from tests.retrieval.model.parsers.office_files import FILES, make_docx, make_odt, make_pptx, make_xlsx, pack, repack

pytestmark = pytest.mark.model

HANDBOOK = """# Kestrel handbook

# Warranty

The warranty (note 1) of the K2 lasts 31 months.

Note 1: Not for the lid.

## Setup

1. Fill it.
2. Switch it on.
  a) Wait for steam.
  b) Pour.
3. Clean it.

Colours:

- red
- blue

# Prices

Model | Euro | Pound\\|net
K2 | 49 | 42
K2 | sold out |
K7 |  | 59 in March

kettle  --boil
  --now

Call 555
or write."""

FARES = """# Fares 2026

Fares of Harbor Line

Route | Adult | Discount | From | Leaves
Norvik | 1,234.50 € | 12.5% | 01.03.2026 | 07:05
Norvik | 2,469.00 € | none |  |
Sund | 7.00 € | 0.1 |  |

Port | Phone
Hamn | 555 01"""

SLIDES = """# The K2 in short

- It boils in 90 seconds.
  - At sea level.
- It costs 49 euros.

Notes: Say it slowly.

# Prices

Model | Euro
K2 | 49

Free shipping.

No returns."""


def read(data: bytes, limits: ParseLimits | None = None) -> ParsedDocument:
    return read_document(data, "upload", limits or ParseLimits())


@pytest.mark.parametrize("name", ["text.docx", "text.odt"])
def test_a_text_reads_as_it_is_shown_with_all_changes_accepted(name: str) -> None:
    parsed = read((FILES / name).read_bytes())
    assert parsed.text == HANDBOOK
    assert parsed.title == "Kestrel handbook"
    assert [(heading.level, heading.title) for heading in parsed.headings] == [
        (1, "Kestrel handbook"),
        (1, "Warranty"),
        (2, "Setup"),
        (1, "Prices"),
    ]
    assert all(parsed.text[heading.start :].startswith("#") for heading in parsed.headings)
    assert parsed.warnings == ["14 characters of hidden text were left out."]
    blocks = [(block.kind, parsed.text[block.start : block.end].split("\n")[0]) for block in parsed.blocks]
    assert blocks == [
        ("list", "1. Fill it."),
        ("list", "- red"),
        ("table", "Model | Euro | Pound\\|net"),
        ("code", "kettle  --boil"),
    ]
    table = parsed.blocks[2]
    assert parsed.text[table.start : table.head] == "Model | Euro | Pound\\|net\n"


@pytest.mark.parametrize("name", ["sheets.xlsx", "sheets.ods"])
def test_cells_read_as_they_are_shown_and_hidden_ones_are_told(name: str) -> None:
    parsed = read((FILES / name).read_bytes())
    assert parsed.text == FARES
    assert [heading.title for heading in parsed.headings] == ["Fares 2026"]
    assert parsed.warnings == [
        "1 hidden rows and 1 hidden columns of the sheet 'Fares 2026' were left out.",
        "The hidden sheet 'Drafts' was left out.",
    ]
    heads = [parsed.text[block.start : block.head] for block in parsed.blocks if block.kind == "table"]
    assert heads == ["Route | Adult | Discount | From | Leaves\n", "Port | Phone\n"]


@pytest.mark.parametrize("name", ["slides.pptx", "slides.odp"])
def test_slides_are_pages_with_their_notes(name: str) -> None:
    parsed = read((FILES / name).read_bytes())
    assert parsed.text == SLIDES
    assert parsed.title == "The K2 in short"
    assert [parsed.text[page:][:10] for page in parsed.pages] == ["# The K2 i", "# Prices\n\n", "# Prices\n\n"]
    assert parsed.warnings == ["1 hidden slides were left out."]


CHART = (
    "<c:chartSpace xmlns:c='c'><c:chart><c:title><c:t>Sales</c:t></c:title><c:plotArea>"
    "<c:ser><c:tx><c:v>2025</c:v></c:tx><c:cat><c:pt idx='0'><c:v>East</c:v></c:pt><c:pt idx='1'><c:v>West</c:v></c:pt>"
    "</c:cat><c:val><c:pt idx='0'><c:v>1.5</c:v></c:pt></c:val></c:ser>"
    "<c:ser><c:tx><c:v>2026</c:v></c:tx><c:val><c:pt idx='1'><c:v>2.5</c:v></c:pt></c:val></c:ser>"
    "</c:plotArea></c:chart></c:chartSpace>"
)


def test_a_chart_of_a_slide_is_a_table_of_its_series() -> None:
    with zipfile.ZipFile(io.BytesIO(make_pptx([["Two"]]))) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
        slide = archive.read("ppt/slides/0.xml").decode()
        relations = archive.read("ppt/_rels/presentation.xml.rels").decode()
    frame = "<p:graphicFrame><a:graphic><a:graphicData><c:chart xmlns:c='c' r:id='rId0' xmlns:r='r'/></a:graphicData>"
    parts["ppt/slides/0.xml"] = slide.replace("</p:spTree>", f"{frame}</a:graphic></p:graphicFrame></p:spTree>")
    parts["ppt/slides/_rels/0.xml.rels"] = relations.replace("/slide", "/chart").replace("slides/0.xml", "c.xml")
    parts["ppt/slides/c.xml"] = CHART
    assert read(pack(parts)).text == "# Two\n\nSales\n\n| 2025 | 2026\nEast | 1.5 |\nWest |  | 2.5"


REMOVED = "<w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
VISIBLE = "<w:p><w:r><w:t>kept</w:t></w:r></w:p>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (REMOVED, "kept"),
        ("<w:p><w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom><w:r><w:t>kept</w:t></w:r></w:p>", "kept"),
        ("<w:p><w:ins><w:r><w:t>kept</w:t></w:r></w:ins></w:p>", "kept"),
        (VISIBLE + "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>gone</w:t></w:r></w:p>", "kept"),
        ('<w:p><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>kept</w:t></w:r></w:p>', "kept"),
        (VISIBLE + '<w:p><w:r><w:rPr><w:color w:val="ffffff"/></w:rPr><w:t>gone</w:t></w:r></w:p>', "kept"),
        (VISIBLE + '<w:p><w:r><w:rPr><w:sz w:val="2"/></w:rPr><w:t>gone</w:t></w:r></w:p>', "kept"),
        (
            '<w:p><w:r><w:rPr><w:color w:val="FFFFFF"/><w:shd w:fill="000000"/></w:rPr><w:t>kept</w:t></w:r></w:p>',
            "kept",
        ),
        (
            '<w:tbl><w:tr><w:tc><w:p><w:r><w:rPr><w:color w:val="FFFFFF"/></w:rPr><w:t>kept</w:t></w:r></w:p>'
            "</w:tc></w:tr></w:tbl>",
            "kept",
        ),
        ("<w:p><w:hyperlink><w:r><w:t>ke</w:t></w:r></w:hyperlink><w:r><w:t>pt</w:t></w:r></w:p>", "kept"),
        ("<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>kept</w:t></w:r></w:p>", "kept"),
        (f"<w:sdt><w:sdtPr/><w:sdtContent>{VISIBLE}</w:sdtContent></w:sdt>", "kept"),
        (f"<w:tbl><w:tr><w:tc>{VISIBLE}</w:tc></w:tr></w:tbl>", "kept"),
        (f"<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>{REMOVED}</w:tc></w:tr></w:tbl>{VISIBLE}", "kept"),
        (
            "<w:p><w:r><w:t>kept</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p>"
            "</w:txbxContent></w:pict></w:r></w:p>",
            "kept\n\nbox",
        ),
    ],
)
def test_what_word_shows_is_read_and_nothing_else(body: str, text: str) -> None:
    assert read(make_docx(body)).text == text


SCRIPTS = {
    "<sup>": '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr>',
    "<sub>": '<w:rPr><w:vertAlign w:val="subscript"/></w:rPr>',
    "<style>": '<w:rPr><w:rStyle w:val="Mark"/></w:rPr>',
    "": "",
}
MARK = '<w:style w:styleId="Mark"><w:rPr><w:vertAlign w:val="superscript"/></w:rPr></w:style>'


def make_runs(*runs: tuple[str, str]) -> str:
    return "".join(f"<w:r>{SCRIPTS[script]}<w:t>{text}</w:t></w:r>" for script, text in runs)


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([("", "49"), ("<sup>", "1"), ("", " euros")], "49^1 euros"),
        ([("", "49"), ("<style>", "1"), ("", "5")], "49^1 5"),
        ([("", "10"), ("<sup>", "-"), ("<sup>", "6")], "10^-6"),
        ([("", "2"), ("<sup>", "1"), ("<sup>", "0")], "2^10"),
        ([("", "101"), ("<sub>", "2"), ("", " H"), ("<sub>", "2"), ("", "O 5 m"), ("<sup>", "2")], "101_2 H2O 5 m2"),
    ],
)
def test_digits_that_word_raises_or_lowers_are_no_part_of_a_number(runs: list[tuple[str, str]], text: str) -> None:
    paragraph = f"<w:p>{make_runs(*runs)}</w:p>"
    link = f"<w:p>{make_runs(runs[0])}<w:hyperlink>{make_runs(*runs[1:])}</w:hyperlink></w:p>"
    cell = f"<w:tc>{paragraph}</w:tc>"
    table = f"<w:tbl><w:tr>{cell}{cell}</w:tr><w:tr>{cell}{cell}</w:tr></w:tbl>"
    parsed = read(make_docx(paragraph + link + table, styles=MARK))
    assert parsed.text == f"{text}\n\n{text}\n\n{text} | {text}\n{text} | {text}"


P = "http://schemas.openxmlformats.org/presentationml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
POSITIONS = {"<sup>": "super 58%", "<sub>": "-33% 58%", "<style>": "33% 58%", "": "0% 100%"}


def test_digits_that_other_programs_raise_or_lower_are_no_part_of_a_number() -> None:
    runs = [("", "49"), ("<sup>", "1"), ("", " 10"), ("<style>", "-"), ("<style>", "6"), ("<sub>", "2"), ("", " m2")]
    styles = "".join(
        f'<style:style style:name="{escape(name)}" style:family="text"><style:text-properties '
        f'style:text-position="{position}"/></style:style>'
        for name, position in POSITIONS.items()
    )
    spans = "".join(f'<text:span text:style-name="{escape(name)}">{text}</text:span>' for name, text in runs)
    assert read(make_odt(f"<text:p>{spans}</text:p>", styles=styles)).text == "49^1 10^-6_2 m2"
    baselines = {"<sup>": "30000", "<sub>": "-25000", "<style>": "30000", "": "0"}
    shown = "".join(f'<a:r><a:rPr baseline="{baselines[name]}"/><a:t>{text}</a:t></a:r>' for name, text in runs)
    slide = f'<p:sld xmlns:p="{P}" xmlns:a="{A}"><p:cSld><p:spTree><p:sp><p:txBody><a:p>{shown}</a:p></p:txBody></p:sp>'
    slides = repack(make_pptx([["Prices"]]), ppt_slides_0_xml=f"{slide}</p:spTree></p:cSld></p:sld>")
    assert "49^1 10^-6_2 m2" in read(slides).text


def test_headings_are_told_by_style_and_by_outline_also_through_other_styles() -> None:
    styles = (
        '<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Own"><w:name w:val="Chapter"/><w:basedOn w:val="berschrift1"/></w:style>'
        '<w:style w:styleId="Loop"><w:name w:val="x"/><w:basedOn w:val="Loop"/></w:style>'
    )
    body = "".join(
        f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        for properties, text in (
            ('<w:pStyle w:val="berschrift1"/>', "One"),
            ('<w:pStyle w:val="Own"/>', "Two"),
            ('<w:outlineLvl w:val="1"/>', "Three"),
            ('<w:pStyle w:val="Loop"/>', "text"),
        )
    )
    parsed = read(make_docx(body, styles=styles))
    assert [(heading.level, heading.title) for heading in parsed.headings] == [(1, "One"), (1, "Two"), (2, "Three")]


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("1234.5", "#,##0.00", "1,234.50"),
        ("0.5", "0%", "50%"),
        ("0.1234", "0.0#%", "12.34%"),
        ("-3", '0.00;[Red]"minus "0.00', "minus 3.00"),
        ("-3", "0.00", "-3.00"),
        ("0", '0;-0;"none"', "none"),
        ("46082", "yyyy-mm-dd", "2026-03-01"),
        ("46082", "d. mmmm yyyy", "1. March 2026"),
        ("46082.75", "dd/mm/yy hh:mm", "01/03/26 18:00"),
        ("0.75", "h:mm AM/PM", "6:00 PM"),
        ("1.5", "[h]:mm", "36:00"),
        ("0.0005", "mm:ss", "00:43"),
        ("59", "yyyy-mm-dd", "1900-02-28"),
        ("61", "yyyy-mm-dd", "1900-03-01"),
        ("5", "[$€-407] #,##0.00", "€ 5.00"),
        ("5", '_-* #,##0.00\\ "€"_-', "5.00 €"),
        ("42", "00000", "00042"),
        ("1500000", '0.0,,"M"', "1.5M"),
        ("12345", "0.00E+00", "1.23E+04"),
        ("0.30000000000000004", "", "0.3"),
        ("123456789012345", "", "123456789012345"),
        ("1E-3", "General", "0.001"),
        ("0.25", "# ?/?", "0.25"),
        ("1e999", "0", "1e999"),
        ("x", "0", "x"),
        ("-5", "yyyy", "-5"),
    ],
)
def test_a_number_is_shown_by_its_format(value: str, code: str, shown: str) -> None:
    styles = (
        f'<numFmts><numFmt numFmtId="200" formatCode="{escape(code, {chr(34): "&quot;"})}"/></numFmts>'
        '<cellXfs><xf numFmtId="200"/></cellXfs>'
    )
    sheet = f'<sheetData><row><c s="0"><v>{value}</v></c></row></sheetData>'
    assert read(make_xlsx([], sheet, styles)).text == f"# Prices\n\n{shown}"


def test_a_formula_without_a_result_stands_as_it_is_and_is_told() -> None:
    sheet = "<sheetData><row><c><f>A2*2</f></c><c><f>1+1</f><v>2</v></c></row></sheetData>"
    parsed = read(make_xlsx([], sheet))
    assert parsed.text == "# Prices\n\n=A2*2 | 2"
    assert "1 formulas of the sheet 'Prices' have no result" in parsed.warnings[0]


def test_a_cell_far_away_costs_nothing() -> None:
    sheet = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    assert read(make_xlsx([], f"<sheetData>{sheet}</sheetData>")).text == "# Prices\n\n1\n\n2"
    empty = '<table:table table:name="T"><table:table-row table:number-rows-repeated="1048000"><table:table-cell '
    empty += 'table:number-columns-repeated="16384"/></table:table-row><table:table-row><table:table-cell>'
    assert read(
        make_odt(f"{empty}<text:p>x</text:p></table:table-cell></table:table-row></table:table>", "spreadsheet")
    )


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "Nd"]), min_size=1, max_size=8).map(clean)
LINES = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(st.just("") | LINES, min_size=width, max_size=width), min_size=1, max_size=5)
)


def missing_words(text: str, parsed: ParsedDocument) -> list[str]:
    return [word for word in text.split() if word not in parsed.text]


@settings(max_examples=40, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=6), TABLES)
def test_no_word_of_a_text_is_lost(lines: list[str], table: list[list[str]]) -> None:
    words = " ".join([*lines, *(cell for row in table for cell in row)])
    rows = "".join(
        f"<w:tr>{''.join(f'<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>' for cell in row)}</w:tr>"
        for row in table
    )
    paragraphs = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines)
    assert missing_words(words, read(make_docx(f"{paragraphs}<w:tbl>{rows}</w:tbl>"))) == []
    rows = "".join(
        f"<table:table-row>{''.join(f'<table:table-cell><text:p>{cell}</text:p></table:table-cell>' for cell in row)}"
        "</table:table-row>"
        for row in table
    )
    paragraphs = "".join(f"<text:p>{line}</text:p>" for line in lines)
    assert missing_words(words, read(make_odt(f"{paragraphs}<table:table>{rows}</table:table>"))) == []
    assert missing_words(words, read(make_pptx([lines, ["x", words]]))) == []


@settings(max_examples=60, deadline=None)
@given(TABLES)
@example([["", ""], ["", "0"]])
def test_cells_of_a_sheet_come_back_from_its_text(table: list[list[str]]) -> None:
    header = [f"column {'abcd'[n]}" for n in range(len(table[0]))]
    table = [[" ".join(cell.split()) for cell in row] for row in table]
    rows = [header, *(row for row in table if any(row))]
    lines = read(make_xlsx([header, *table])).text.split("\n")[2:]
    shown = [[cell.strip() for cell in f" {line} ".split(" | ")] for line in lines if line]
    padded = [row + [""] * (len(header) - len(row)) for row in shown]
    assert [[cell.strip(" |") for cell in row] for row in padded] == rows


def refusal(data: bytes, limits: ParseLimits | None = None) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        read(data, limits)
    return f"{caught.value.code}: {caught.value}"


OFFICE = ["text.docx", "sheets.xlsx", "slides.pptx", "text.odt", "sheets.ods", "slides.odp"]
each_office = pytest.mark.parametrize("name", OFFICE)


@each_office
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(name: str, share: float) -> None:
    data = (FILES / name).read_bytes()
    assert refusal(data[: int(len(data) * share)]).startswith("invalid_file: The file is packed")


@each_office
def test_a_file_with_damaged_parts_is_refused_or_read(name: str) -> None:
    data = bytearray((FILES / name).read_bytes())
    for at in range(40, len(data) - 40, 97):
        data[at] ^= 0x55
    assert "_file: The file" in refusal(bytes(data))


@each_office
def test_a_file_is_known_whatever_its_name_says(name: str) -> None:
    data = (FILES / name).read_bytes()
    texts = {read_document(data, other, ParseLimits()).text for other in ("a.pdf", "a.txt", "a.doc", "a.zip", "")}
    assert texts == {read(data).text}


BOMB = b"<a>" + b" " * (40 * 1024**2) + b"</a>"


@pytest.mark.parametrize(
    "data",
    [
        repack(make_docx(VISIBLE), word_document_xml=BOMB),
        repack(make_xlsx([["x"]]), xl_worksheets_sheet1_xml=BOMB),
        repack(make_pptx([["x"]]), ppt_slides_0_xml=BOMB),
        repack(make_odt("<text:p>x</text:p>"), content_xml=BOMB),
    ],
    ids=["docx", "xlsx", "pptx", "odt"],
)
def test_a_decompression_bomb_is_refused(data: bytes) -> None:
    assert len(data) < 100_000
    assert "as a decompression bomb does" in refusal(data)


def test_parts_and_unpacked_bytes_are_bounded() -> None:
    data = (FILES / "text.docx").read_bytes()
    assert "parts; the limit is 3. Split it." in refusal(data, ParseLimits(parts=3))
    assert "the limit for all parts is 2000" in refusal(data, ParseLimits(unpacked_bytes=2000))
    row = (
        '<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="16000">'
    )
    table = f"<table:table>{row}<text:p>word</text:p></table:table-cell></table:table-row></table:table>"
    assert "more characters of text" in refusal(make_odt(table, "spreadsheet"))
    sheet = make_xlsx([["word " * 100]] * 3)
    assert "more than 1000 characters" in refusal(sheet, ParseLimits(characters=1000))


ENTITIES = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "lol">{}]>'.format(
    "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(12)) + '<!ENTITY l0 "lol">'
)


@pytest.mark.parametrize("entity", ["&x;", "&y;", "&l12;"])
def test_entities_stay_unresolved_and_many_are_refused(entity: str) -> None:
    body = f"{VISIBLE}<w:p><w:r><w:t>{entity}</w:t></w:r></w:p>"
    with zipfile.ZipFile(io.BytesIO(make_docx(body))) as archive:
        document = archive.read("word/document.xml").decode()
    word = repack(make_docx(VISIBLE), word_document_xml=ENTITIES + document)
    if entity == "&l12;":
        assert "amplification" in refusal(word)
    else:
        assert read(word).text == "kept"


def test_an_encrypted_file_says_so() -> None:
    data = bytearray(make_docx(VISIBLE))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        offset = archive.start_dir
    while (offset := data.find(b"PK\x01\x02", offset)) >= 0:
        data[offset + 8] |= 1
        offset += 4
    assert refusal(bytes(data)).startswith("invalid_file: The file is encrypted. Save it without a password")
    manifest = "<manifest:manifest xmlns:manifest='m'><manifest:encryption-data/></manifest:manifest>"
    with zipfile.ZipFile(io.BytesIO(make_odt(""))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert "The file is encrypted" in refusal(pack({**parts, "META-INF/manifest.xml": manifest}))


COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        ("WordDocument", r"unsupported_file: .*\(\.doc\).* Save it as \.docx\."),
        ("Workbook", r"unsupported_file: .*\(\.xls\).* Save it as \.xlsx\."),
        ("PowerPoint Document", r"unsupported_file: .*\(\.ppt\).* Save it as \.pptx\."),
        ("__substg1.0_0037001F", r"unsupported_file: .*\(\.msg\).* Save it as \.eml\."),
        ("EncryptedPackage", r"invalid_file: .* is encrypted\. Save it without a password"),
        ("Other", r"unsupported_file: .*old Office program"),
    ],
)
def test_files_of_old_programs_are_refused_with_the_way_out(stream: str, says: str) -> None:
    assert re.match(says, refusal(COMPOUND + stream.encode("utf-16-le")))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.txt", "a ZIP archive .* Unpack it first"),
        ("xl/workbook.bin", r"a binary Excel workbook .* Save it as \.xlsx"),
        ("Index/Document.iwa", r"of Pages, Numbers or Keynote.* Export it"),
    ],
)
def test_other_packed_files_are_refused_with_the_way_out(name: str, says: str) -> None:
    assert re.search(says, refusal(pack({name: "x"})))


def test_characters_that_excel_writes_as_escapes_are_characters() -> None:
    sheet = '<sheetData><row><c t="inlineStr"><is><t>One_x000D_two_x005F_x0041_</t></is></c></row></sheetData>'
    assert read(make_xlsx([], sheet)).text == "# Prices\n\nOne\ntwo_x0041_"


MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def make_math(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def make_parts(element: str, properties: str = "", **parts: str) -> str:
    inner = "".join(f"<m:{name}>{content}</m:{name}>" for name, content in parts.items())
    return f"<m:{element}>{properties}{inner}</m:{element}>"


ONE, TWO, TEN, SUM = make_math("1"), make_math("2"), make_math("10"), make_math("a+b")
HALF = make_parts("f", num=ONE, den=TWO)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (HALF, "1/2"),
        (make_math("5") + HALF + make_math("7"), "5 1/2 7"),
        (make_parts("f", num=SUM, den=TWO), "(a+b)/2"),
        (make_parts("f", num=HALF, den=TEN), "(1/2)/10"),
        (make_parts("f", '<m:fPr><m:type m:val="noBar"/></m:fPr>', num=TEN, den=TWO), "(10 2)"),
        (make_parts("sSup", e=TEN, sup=make_math("6")) + make_math("7"), "10^6 7"),
        (make_parts("sSup", e=SUM, sup=make_math("n+1")), "(a+b)^(n+1)"),
        (make_parts("sSup", e=make_math("f"), sup=make_math("′")), "f′"),
        (make_parts("sSub", e=TEN, sub=TWO), "10_2"),
        (make_parts("sSubSup", e=TEN, sub=TWO, sup=ONE), "10_2^1"),
        (make_parts("rad", deg="", e=make_math("16")), "√16"),
        (make_parts("rad", deg=make_math("3"), e=SUM), "√[3](a+b)"),
        (make_parts("d", e=SUM), "(a+b)"),
        (make_parts("d", '<m:dPr><m:begChr m:val="["/><m:endChr m:val=""/></m:dPr>', e=SUM), "[a+b"),
        (make_parts("nary", '<m:naryPr><m:chr m:val="∑"/></m:naryPr>', sub=ONE, sup=TEN, e=TWO), "∑(1…10) 2"),
        (f"<m:m>{make_parts('mr', e=ONE)}<m:mr><m:e>{TEN}</m:e><m:e>{TWO}</m:e></m:mr></m:m>", "1; 10, 2"),
        (make_parts("eqArr", e=ONE) + make_parts("limLow", e=make_math("lim"), lim=make_math("x→0")), "1lim(x→0)"),
    ],
)
def test_formulas_of_word_and_powerpoint_are_written_in_one_line(formula: str, text: str) -> None:
    math = f'<m:oMath xmlns:m="{MATH}">{formula}</m:oMath>'
    assert read(make_docx(f"<w:p>{math}<w:r><w:t> cups</w:t></w:r></w:p>")).text == f"{text} cups"
    slides = (
        f'<p:sld xmlns:p="{P}" xmlns:a="{A}"><p:cSld><p:spTree><p:sp><p:txBody><a:p>{math}<a:r><a:t> cups</a:t></a:r>'
    )
    slides += "</a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
    parsed = read(repack(make_pptx([["x"]]), ppt_slides_0_xml=slides))
    assert parsed.text.endswith(f"{text} cups")
