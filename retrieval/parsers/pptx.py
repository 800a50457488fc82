"""PPTX → text with a heading and a page per slide, its lists, tables and notes."""

from collections.abc import Iterator

from retrieval.parsers.archive import Archive, Element, get_attribute, get_name
from retrieval.parsers.docx import find_main_part, read_core_title
from retrieval.parsers.drawings import Drawings, get_relation, iterate_shapes, read_paragraphs, read_runs
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.table_heads import count_heads, widen_names
from retrieval.parsers.table_rows import COVERED_CELL
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["parse_pptx"]

_TITLES = frozenset(("title", "ctrTitle"))
_RUNNING = frozenset(("dt", "ftr", "hdr", "sldNum", "sldImg"))
_LISTS = frozenset(("body", "obj", "none"))
"""Placeholders whose paragraphs are the points of a slide; one without a type is `obj`."""


def parse_pptx(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take each slide's title, shapes in their own order, tables, diagrams and notes; hidden slides are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    archive = Archive(content.data, limits)
    main = find_main_part(archive)
    relations = archive.read_relations(main)
    writer = TextWriter()
    hidden = 0
    number = 0
    for slide in archive.read_xml(main).iterfind("{*}sldIdLst/{*}sldId"):
        kind, name = relations.get(get_relation(slide), ("", ""))
        if kind != "slide":
            continue
        root = archive.read_xml(name)
        number += 1
        writer.begin_page()
        if get_attribute(root, "show") in ("0", "false"):
            hidden += 1
        else:
            _Slide(writer, archive, name).read(root, number)
    if hidden:
        writer.warnings.append(f"{hidden} hidden slides were left out.")
    first = writer.headings[0].title if writer.headings else ""
    return writer.finish(content.media_type, read_core_title(archive), first)


class _Slide:
    """One slide while it is read."""

    def __init__(self, writer: TextWriter, archive: Archive, name: str) -> None:
        self._writer = writer
        self._archive = archive
        self._relations = archive.read_relations(name)
        self._drawings = Drawings(writer, archive, self._relations)

    def read(self, root: Element, number: int) -> None:
        shapes = list(iterate_shapes(root.find("{*}cSld/{*}spTree")))
        titles = [shape for shape in shapes if _get_placeholder(shape) in _TITLES]
        title = join_words(" ".join(text for shape in titles for _, text in read_paragraphs(shape)))
        self._writer.add_heading(title or f"Slide {number}", 1)
        for shape in shapes:
            if shape not in titles and _get_placeholder(shape) not in _RUNNING:
                self._add(shape)
        for kind, name in self._relations.values():
            if kind == "notesSlide" and self._archive.has(name):
                self._add_notes(self._archive.read_xml(name))

    def _add(self, shape: Element) -> None:
        if get_name(shape) == "graphicFrame":
            for table in shape.iterfind("{*}graphic/{*}graphicData/{*}tbl"):
                rows = list(_read_rows(table))
                heads = count_heads(rows) or 1
                self._writer.add_table(widen_names(rows, heads), heads)
            for chart in shape.iterfind("{*}graphic/{*}graphicData/{*}chart"):
                self._drawings.add_chart(get_relation(chart))
            for diagram in shape.iterfind("{*}graphic/{*}graphicData/{*}relIds"):
                self._drawings.add_diagram(get_attribute(diagram, "dm"))
        else:
            self._add_text(shape)

    def _add_text(self, shape: Element) -> None:
        paragraphs = list(read_paragraphs(shape))
        points = _get_placeholder(shape) in _LISTS and len(paragraphs) > 1
        if points or any(label for label, _ in paragraphs):
            self._writer.add_list(
                f"{label or ('- ' if points else '')}{join_words(text)}" for label, text in paragraphs
            )
        else:
            self._writer.add_paragraph("\n".join(text for _, text in paragraphs))

    def _add_notes(self, root: Element) -> None:
        for shape in iterate_shapes(root.find("{*}cSld/{*}spTree")):
            if _get_placeholder(shape) not in _RUNNING:
                text = "\n".join(text for _, text in read_paragraphs(shape))
                if text.strip():
                    self._writer.add_paragraph(f"Notes: {text}")


def _get_placeholder(shape: Element) -> str:
    """Return the type of a placeholder, "" for other shapes."""
    placeholder = shape.find("./*/{*}nvPr/{*}ph")
    return get_attribute(placeholder, "type", "none") if placeholder is not None else ""


def _read_rows(table: Element) -> Iterator[list[str]]:
    """Yield rows: a cell over several rows has its text in each, one over columns in the first."""
    above: dict[int, str] = {}
    for row in table.iterchildren("{*}tr"):
        line: list[str] = []
        for cell in row.iterchildren("{*}tc"):
            text = " ".join(read_runs(paragraph) for paragraph in cell.iterfind("{*}txBody/{*}p"))
            if get_attribute(cell, "vMerge") in ("1", "true"):
                text = above.get(len(line), "")
            above[len(line)] = COVERED_CELL if get_attribute(cell, "hMerge") in ("1", "true") else text
            line.append(above[len(line)])
        yield line
