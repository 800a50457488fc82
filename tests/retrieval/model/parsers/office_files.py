"""Small Office files, written part by part: for what no program would write, and for generated text."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

__all__ = ["FILES", "make_docx", "make_epub", "make_odt", "make_pptx", "make_xlsx", "pack", "repack"]

FILES = Path(__file__).parents[2] / "parsers" / "files"
"""Files that LibreOffice wrote."""

_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"


def pack(parts: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def repack(data: bytes, **changes: str | bytes) -> bytes:
    """Return a file with other parts; of a part's name, `_` stands for what no keyword may have."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    for name in list(parts):
        key = name.replace("/", "_").replace(".", "_").strip("_")
        parts[name] = changes.pop(key, parts[name])
    assert not changes
    return pack(parts)


def _make_relations(*rows: tuple[str, str]) -> str:
    return (
        f'<Relationships xmlns="{_RELATIONS}">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
            for n, (kind, target) in enumerate(rows)
        )
        + "</Relationships>"
    )


def make_docx(body: str, **parts: str) -> bytes:
    """Make a Word file of a body, such as `<w:p>…</w:p>`, with `styles` and `numbering` if they are given."""
    names = {"styles": "styles.xml", "numbering": "numbering.xml", "footnotes": "footnotes.xml", "header": "header.xml"}
    return pack(
        {
            "_rels/.rels": _make_relations(("officeDocument", "word/document.xml")),
            "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": _make_relations(*((name, names[name]) for name in parts)),
            **{f"word/{names[n]}": f'<w:{n} xmlns:w="{_W}">{part}</w:{n}>' for n, part in parts.items()},
        }
    )


def make_xlsx(rows: Sequence[Sequence[str]], sheet: str = "", styles: str = "") -> bytes:
    """Make a workbook of one sheet from texts, or from the XML of a sheet."""
    data = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for cell in row) + "</row>"
        for row in rows
    )
    sheet = sheet or f"<sheetData>{data}</sheetData>"
    return pack(
        {
            "_rels/.rels": _make_relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{_S}" xmlns:r="{_OFFICE}"><sheets><sheet name="Prices" sheetId="1" '
            'r:id="rId0"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": _make_relations(
                ("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml")
            ),
            "xl/styles.xml": f'<styleSheet xmlns="{_S}">{styles}</styleSheet>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_S}">{sheet}</worksheet>',
        }
    )


def make_pptx(slides: Sequence[Sequence[str]]) -> bytes:
    """Make a presentation; each slide is its title and its points."""
    parts: dict[str, str | bytes] = {
        "_rels/.rels": _make_relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{_P}" xmlns:r="{_OFFICE}"><p:sldIdLst>'
        + "".join(f'<p:sldId id="{256 + n}" r:id="rId{n}"/>' for n in range(len(slides)))
        + "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": _make_relations(*(("slide", f"slides/{n}.xml") for n in range(len(slides)))),
    }
    for number, (title, *points) in enumerate(slides):
        shapes = [("title", [title]), ("body", points)]
        parts[f"ppt/slides/{number}.xml"] = (
            f'<p:sld xmlns:p="{_P}" xmlns:a="{_A}"><p:cSld><p:spTree>'
            + "".join(
                f'<p:sp><p:nvSpPr><p:cNvPr id="1" name=""/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>'
                + "".join(f"<a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p>" for text in texts)
                + "</p:txBody></p:sp>"
                for kind, texts in shapes
            )
            + "</p:spTree></p:cSld></p:sld>"
        )
    return pack(parts)


def make_odt(body: str, kind: str = "text", styles: str = "") -> bytes:
    """Make an OpenDocument file of a body, such as `<text:p>…</text:p>`, and styles of its own."""
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "draw", "style")
    )
    return pack(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content{spaces}>"
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:{kind}>{body}</office:{kind}>"
            "</office:body></office:document-content>",
        }
    )


def make_epub(chapters: Mapping[str, str], *, contents: str = "", **parts: str) -> bytes:
    """Make a book of chapters by their names, read in that order, with the `navMap` of its contents."""
    items = "".join(
        f'<item id="{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="{n}"/>' for n in range(len(chapters)))
    items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    container = '<container><rootfiles><rootfile full-path="book/x.opf"/></rootfiles></container>'
    return pack(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "book/x.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>A book</dc:title>'
            f"</metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
            "book/toc.ncx": f"<ncx><navMap>{contents}</navMap></ncx>",
            **{f"book/{name}": chapter for name, chapter in chapters.items()},
            **{name.replace("__", "/") + ".xml": part for name, part in parts.items()},
        }
    )
