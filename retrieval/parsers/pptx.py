"""PPTX → text with a heading and a page per slide, its lists, tables and notes."""

from collections.abc import Iterator
from itertools import chain

from retrieval.parsers.archive import Archive, Element, get_attribute, get_name, to_number
from retrieval.parsers.docx import find_main_part, read_core_title
from retrieval.parsers.office_formulas import write_formula
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits
from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, mark_runs
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["parse_pptx"]

_TITLES = frozenset(("title", "ctrTitle"))
_RUNNING = frozenset(("dt", "ftr", "hdr", "sldNum", "sldImg"))
_LISTS = frozenset(("body", "obj", "none"))
"""Placeholders whose paragraphs are the points of a slide; one without a type is `obj`."""


_DEEPEST = 8


def parse_pptx(content: FileContent, limits: ParseLimits) -> Parsed:
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
        kind, name = relations.get(_get_relation(slide), ("", ""))
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


def _get_relation(element: Element) -> str:
    """Return the relation's id, which shares its name with the slide's own."""
    return next((value for key, value in element.items() if key.endswith("}id")), "")


class _Slide:
    """One slide while it is read."""

    def __init__(self, writer: TextWriter, archive: Archive, name: str) -> None:
        self._writer = writer
        self._archive = archive
        self._relations = archive.read_relations(name)

    def read(self, root: Element, number: int) -> None:
        shapes = list(_iterate_shapes(root.find("{*}cSld/{*}spTree")))
        titles = [shape for shape in shapes if _get_placeholder(shape) in _TITLES]
        title = join_words(" ".join(text for shape in titles for _, text in _read_paragraphs(shape)))
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
                self._writer.add_table(_read_rows(table), 1)
            for chart in shape.iterfind("{*}graphic/{*}graphicData/{*}chart"):
                self._add_chart(_get_relation(chart))
            for diagram in shape.iterfind("{*}graphic/{*}graphicData/{*}relIds"):
                self._add_diagram(get_attribute(diagram, "dm"))
        else:
            self._add_text(shape)

    def _add_text(self, shape: Element) -> None:
        paragraphs = list(_read_paragraphs(shape))
        points = _get_placeholder(shape) in _LISTS and len(paragraphs) > 1
        if points or any(label for label, _ in paragraphs):
            self._writer.add_list(
                f"{label or ('- ' if points else '')}{join_words(text)}" for label, text in paragraphs
            )
        else:
            self._writer.add_paragraph("\n".join(text for _, text in paragraphs))

    def _add_chart(self, relation: str) -> None:
        """Add a chart's title, and its series as the columns of a table."""
        _, name = self._relations.get(relation, ("", ""))
        if not self._archive.has(name):
            return
        root = self._archive.read_xml(name)
        self._writer.add_paragraph("".join(_read_runs(title) for title in root.iterfind("{*}chart/{*}title")))
        series = list(root.iter("{*}ser"))
        columns = [_read_points(series[0], "cat"), *(_read_points(one, "val") for one in series)] if series else []
        names = ["", *("".join(text.text or "" for text in one.iterfind("{*}tx//{*}v")) for one in series)]
        places = sorted({place for column in columns for place in column})
        rows = ([column.get(place, "") for column in columns] for place in places)
        self._writer.add_table(chain([names], rows), 1)

    def _add_diagram(self, relation: str) -> None:
        _, name = self._relations.get(relation, ("", ""))
        if self._archive.has(name):
            points = self._archive.read_xml(name).iter("{*}pt")
            self._writer.add_list(f"- {text}" for point in points if (text := join_words(_read_runs(point))))

    def _add_notes(self, root: Element) -> None:
        for shape in _iterate_shapes(root.find("{*}cSld/{*}spTree")):
            if _get_placeholder(shape) not in _RUNNING:
                text = "\n".join(text for _, text in _read_paragraphs(shape))
                if text.strip():
                    self._writer.add_paragraph(f"Notes: {text}")


def _iterate_shapes(tree: Element | None) -> Iterator[Element]:
    """Yield the shapes that are shown, those of groups in their place."""
    for shape in tree if tree is not None else ():
        name = get_name(shape)
        if name == "AlternateContent":
            yield from chain.from_iterable(_iterate_shapes(choice) for choice in shape.iterchildren("{*}Choice"))
        elif name in ("sp", "grpSp", "graphicFrame", "cxnSp"):
            properties = shape.find("./*/{*}cNvPr")
            if properties is not None and get_attribute(properties, "hidden") in ("1", "true"):
                continue
            if name == "grpSp":
                yield from _iterate_shapes(shape)
            else:
                yield shape


def _get_placeholder(shape: Element) -> str:
    """Return the type of a placeholder, "" for other shapes."""
    placeholder = shape.find("./*/{*}nvPr/{*}ph")
    return get_attribute(placeholder, "type", "none") if placeholder is not None else ""


def _read_paragraphs(shape: Element) -> Iterator[tuple[str, str]]:
    """Yield the paragraphs that have text, each with its bullet or number and its indentation."""
    numbers: dict[int, int] = {}
    for paragraph in shape.iterfind("{*}txBody/{*}p"):
        text = _read_runs(paragraph)
        if not text.strip():
            continue
        properties = paragraph.find("{*}pPr")
        value = get_attribute(properties, "lvl") if properties is not None else ""
        level = to_number(value, most=_DEEPEST)
        label = ""
        if properties is not None and properties.find("{*}buAutoNum") is not None:
            start = get_attribute(properties.find("{*}buAutoNum"), "startAt", "1")
            numbers[level] = numbers.get(level, to_number(start, 1) - 1) + 1
            label = f"{numbers[level]}. "
        elif level or (properties is not None and properties.find("{*}buChar") is not None):
            label = "- "
        numbers = {at: number for at, number in numbers.items() if at < level or (at == level and label[:1].isdigit())}
        yield f"{'  ' * level}{label}" if label else "", text


def _read_runs(paragraph: Element) -> str:
    parts: list[str] = []
    for element in paragraph.iter("{*}t", "{*}br", "{*}tab", "{*}oMath"):
        name = get_name(element)
        if name == "oMath":
            parts.append(write_formula(element))
        elif next(element.iterancestors("{*}oMath"), None) is None:
            parts.append(_read_run(element) if name == "t" else "\n")
    return mark_runs(parts)


def _read_run(text: Element) -> str:
    run = text.getparent()
    properties = run.find("{*}rPr") if run is not None else None
    baseline = get_attribute(properties, "baseline") if properties is not None else ""
    if baseline in ("", "0"):
        return text.text or ""
    return f"{LOWERED if baseline.startswith('-') else RAISED}{text.text or ''}{LEVEL}"


def _read_points(series: Element, kind: str) -> dict[int, str]:
    """Return the points of a chart's series, as the file keeps them, by their places."""
    points = series.iterfind("{*}" + kind + "//{*}pt")
    return {to_number(point.get("idx")): point.findtext("{*}v") or "" for point in points}


def _read_rows(table: Element) -> Iterator[list[str]]:
    """Yield rows: a cell over several rows has its text in each, one over columns in the first."""
    above: dict[int, str] = {}
    for row in table.iterchildren("{*}tr"):
        line: list[str] = []
        for cell in row.iterchildren("{*}tc"):
            text = " ".join(_read_runs(paragraph) for paragraph in cell.iterfind("{*}txBody/{*}p"))
            if get_attribute(cell, "vMerge") in ("1", "true"):
                text = above.get(len(line), "")
            above[len(line)] = "" if get_attribute(cell, "hMerge") in ("1", "true") else text
            line.append(above[len(line)])
        yield line
