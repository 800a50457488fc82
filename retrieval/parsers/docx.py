"""DOCX → text with headings, lists, tables and notes, as it reads when all changes are accepted."""

import re
from collections.abc import Callable, Iterator, Mapping

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Archive, Element, get_attribute, get_name, to_number
from retrieval.parsers.docx_colors import DocxColors
from retrieval.parsers.docx_styles import DocxStyles, Numbering, find_value, read_outline, read_switch
from retrieval.parsers.drawings import Drawings, get_relation
from retrieval.parsers.office_formulas import write_formula
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, mark_runs
from retrieval.parsers.sniff import sniff
from retrieval.parsers.symbol_fonts import read_symbols
from retrieval.parsers.table_heads import count_heads, widen_names
from retrieval.parsers.table_rows import COVERED_CELL
from retrieval.parsers.text_writer import GatheredBlocks, TextWriter

__all__ = ["find_main_part", "parse_docx", "read_core_title"]

_REMOVED_TAGS = frozenset(("del", "moveFrom", "delText", "delInstrText"))
_NO_TEXT = frozenset(
    ("pPr", "rPr", "tblPr", "trPr", "tcPr", "instrText", "rt", "sectPr", "sdtPr", "sdtEndPr", "fldData")
)
_TRANSPARENT = frozenset(("ins", "moveTo", "customXml", "smartTag", "sdtContent", "Choice"))
_HEADERS = frozenset(("header", "footer"))
_DRAWN = frozenset(("chart", "relIds"))
_LONGEST_CELL = 2_000
_WIDEST = 100
_DEEPEST = 8
_TINY = 2  # half points


def parse_docx(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the body of a Word document; headers, footers, comments, deleted and hidden text are left out.

    Raises:
        DocumentUnreadable: Broken, encrypted, over a limit, or without visible text.
    """
    archive = Archive(content.data, limits)
    document = _Document(archive, limits)
    document.read()
    return document.writer.finish(content.media_type, document.title, read_core_title(archive), outlined=True)


def find_main_part(archive: Archive) -> str:
    """Return the name of the part with which an Office file begins."""
    for kind, name in archive.read_relations("").values():
        if kind == "officeDocument":
            return name
    raise DocumentUnreadable(
        "invalid_file", "The file is broken (it names no main part). Export it again from where it was made."
    )


def read_core_title(archive: Archive) -> str:
    """Return the title in an Office file's properties, or ""."""
    for kind, name in archive.read_relations("").values():
        if kind == "core-properties" and archive.has(name):
            return archive.read_xml(name).findtext("{*}title") or ""
    return ""


class _Document:
    """A document while it is read. Paragraphs of a list or of code are collected until another kind comes."""

    def __init__(self, archive: Archive, limits: ParseLimits, *, inner: bool = False) -> None:
        main = find_main_part(archive)
        self.writer = TextWriter()
        self.title = ""
        self._archive = archive
        self._limits = limits
        self._relations = archive.read_relations(main)
        self._drawings = Drawings(self.writer, archive, self._relations)
        self._inner = inner
        parts = {kind: name for kind, name in self._relations.values() if archive.has(name)}
        roots = {kind: archive.read_xml(parts[kind]) for kind in _PARTS if kind in parts}
        self._root = archive.read_xml(main)
        self._styles = DocxStyles(roots.get("styles"))
        headers = [name for kind, name in self._relations.values() if kind in _HEADERS and archive.has(name)]
        self._colors = DocxColors(self._root, archive, headers, self._styles)
        self._numbering = Numbering(roots.get("numbering"), self._styles)
        self._notes = {kind: _index_notes(roots[kind]) for kind in ("footnotes", "endnotes") if kind in roots}
        self._noted: list[str] = []
        self._boxes: list[Element] = []
        self._begun = ""  # of a paragraph that goes on in the next one
        self._gathered = GatheredBlocks(self.writer)
        self._hidden = 0

    def read(self) -> None:
        body = self._root.find("{*}body")
        if body is not None:
            self._walk(body)
        self._gathered.flush()
        self.writer.add_paragraph(self._begun)
        if self._hidden:
            self.writer.warnings.append(f"{self._hidden} characters of hidden text were left out.")

    def _walk(self, container: Element) -> None:
        for element in _iterate(container):
            name = get_name(element)
            if name == "p":
                self._add_paragraph(element)
            elif name == "tbl":
                self._add_table(element)
            elif name == "altChunk":
                self._add_inserted(get_relation(element))

    def _add_inserted(self, relation: str) -> None:
        """Add a document of any format that Word shows in its place, as programs put their pages into it."""
        self._gathered.flush()
        _, name = self._relations.get(relation, ("", ""))
        if not self._archive.has(name):
            return
        try:
            format_, content = sniff(self._archive.read(name), name)
            if format_.kind == "docx":
                if not self._inner:  # a file can have itself in it
                    inner = _Document(Archive(content.data, self._limits), self._limits, inner=True)
                    inner.read()
                    self.writer.add_document(inner.writer.finish(""), 0)
                return
            self.writer.add_document(format_.load_parser()(content, self._limits), 0)
        except DocumentUnreadable as error:
            self.writer.warnings.append(f"The inserted file {name!r} was left out. {error}")

    def _add_paragraph(self, paragraph: Element) -> None:
        properties = paragraph.find("{*}pPr")
        style = find_value(properties, "pStyle") or ""
        if self._styles.is_contents(style):
            return
        text = f"{self._begun}{self._read(paragraph, self._styles.is_hidden(style))}".strip("\n")
        self._begun = text if _goes_on(properties) else ""
        if self._begun:
            return
        outline = find_value(properties, "outlineLvl")
        level = read_outline(outline) if outline is not None else self._styles.find_level(style)
        title = self._styles.is_title(style)
        if self._styles.is_code(style) and not level:
            self._gathered.flush_items()
            self._gathered.code.append(text)
        elif text.strip():
            label = self._find_label(properties, style)
            self._gathered.flush_code()
            if level or title:
                self._gathered.flush_items()
                self.title = self.title or (text if title else "")
                self.writer.add_heading(f"{label} {text}" if label and label != "-" else text, level or 1)
            elif label:
                depth = find_value(properties, "numPr", "ilvl")
                self._gathered.items.append(f"{'  ' * to_number(depth, most=_DEEPEST)}{label} {' '.join(text.split())}")
            else:
                self._gathered.flush_items()
                self.writer.add_paragraph(text)
        self._add_attached()

    def _add_attached(self) -> None:
        """Add the notes, the text boxes, charts and diagrams of a paragraph after it."""
        if self._noted or self._boxes:
            self._gathered.flush()
        notes, self._noted = self._noted, []
        boxes, self._boxes = self._boxes, []
        for note in notes:
            self.writer.add_paragraph(note)
        for box in boxes:
            if get_name(box) == "chart":
                self._drawings.add_chart(get_relation(box))
            elif get_name(box) == "relIds":
                self._drawings.add_diagram(get_attribute(box, "dm"))
            else:
                self._walk(box)
                self._gathered.flush()

    def _find_label(self, properties: Element | None, style: str) -> str | None:
        number, level = find_value(properties, "numPr", "numId"), find_value(properties, "numPr", "ilvl")
        if number is None:
            number, inherited = self._styles.find_numbering(style)
            level = level or inherited
        return self._numbering.make_label(number, level)

    def _read(self, element: Element, hidden: bool) -> str:
        """Return the text of a paragraph, or of what stands in one."""
        parts: list[str] = []
        for child in _iterate(element):
            name = get_name(child)
            if name in _LEAVES:
                parts.append(_LEAVES[name](child))
            elif name in _CHARACTERS:
                parts.append(_CHARACTERS[name])
            elif name in ("footnoteReference", "endnoteReference"):
                parts.append(self._take_note(child, f"{name.removesuffix('Reference')}s"))
            elif name == "txbxContent" or (name in _DRAWN and child.attrib):
                self._boxes.append(child)
            elif name == "r" and self._is_hidden(child, hidden):
                self._hidden += sum(len(text.text or "") for text in child.iter("{*}t"))
            elif name == "r" and (mark := _SCRIPTS.get(self._find_position(child))):
                parts.append(f"{mark}{self._read(child, hidden)}{LEVEL}")
            elif name not in _NO_TEXT:
                parts.append(self._read(child, hidden))
        return mark_runs(parts)

    def _find_position(self, run: Element) -> str:
        style = find_value(run, "rPr", "rStyle") or ""
        return find_value(run, "rPr", "vertAlign") or self._styles.find_position(style)

    def _is_hidden(self, run: Element, hidden: bool) -> bool:
        """Tell whether nobody sees a run: hidden as such, tiny, or in the colour of what is behind it."""
        properties = run.find("{*}rPr")
        switch = read_switch(properties, "vanish")
        if switch is None and (style := find_value(properties, "rStyle")):
            switch = self._styles.is_hidden(style) or None
        if switch if switch is not None else hidden:
            return True
        if to_number(find_value(properties, "sz"), _TINY + 1) <= _TINY:
            return True
        return self._colors.is_unseen(run, properties)

    def _take_note(self, reference: Element, kind: str) -> str:
        note = self._notes.get(kind, {}).get(get_attribute(reference, "id"))
        if note is None:
            return ""
        number = len(self._noted) + 1
        text = " ".join(self._read(paragraph, False).strip() for paragraph in _iterate(note))
        self._noted.append(f"Note {number}: {text}")
        return f" (note {number})"

    def _add_table(self, table: Element) -> None:
        self._gathered.flush()
        rows = [row for row in _iterate(table) if get_name(row) == "tr" and not _is_removed(row)]
        if _lays_out(rows):
            for row in rows:
                for cell in _list_cells(row):
                    self._walk(cell)
                    self._gathered.flush()
            return
        texts = self._read_rows(rows)
        heads = 0
        while heads < len(rows) and read_switch(rows[heads].find("{*}trPr"), "tblHeader"):
            heads += 1
        heads = max(heads, count_heads(texts), 1)
        self.writer.add_table(widen_names(texts, heads), heads)
        self._add_attached()

    def _read_rows(self, rows: list[Element]) -> list[list[str]]:
        """Read cells by their columns: one over several rows has its text in each, one over columns in the first."""
        above: dict[int, str] = {}
        texts: list[list[str]] = []
        for row in rows:
            line = [""] * to_number(find_value(row, "trPr", "gridBefore"), most=_WIDEST)
            for cell in _list_cells(row):
                merge = cell.find("{*}tcPr/{*}vMerge")
                if merge is not None and get_attribute(merge, "val") != "restart":
                    text = above.get(len(line), "")
                else:
                    text = " ".join(self._read(paragraph, False) for paragraph in _iterate(cell))
                above[len(line)] = text
                line += [text, *[COVERED_CELL] * (to_number(find_value(cell, "tcPr", "gridSpan"), 1, most=_WIDEST) - 1)]
            texts.append(line)
        return texts


def _read_letters(text: Element) -> str:
    fonts = text.getparent().find("{*}rPr/{*}rFonts")
    return read_symbols(text.text or "", get_attribute(fonts, "ascii") if fonts is not None else "")


def _read_sign(sign: Element) -> str:
    code = get_attribute(sign, "char")
    return read_symbols(chr(int(code, 16)), get_attribute(sign, "font")) if _CODE.fullmatch(code) else ""


def _read_field(field: Element) -> str:
    """Return what an old form's field shows that isn't in its result: a box, ticked or not, or the choice of a list."""
    if (box := field.find("{*}ffData/{*}checkBox")) is not None:
        is_checked = read_switch(box, "checked")
        return "☒" if (read_switch(box, "default") if is_checked is None else is_checked) else "☐"
    if (choices := field.find("{*}ffData/{*}ddList")) is not None:
        entries = [get_attribute(entry, "val") for entry in choices.iterchildren("{*}listEntry")]
        place = to_number(find_value(choices, "result") or find_value(choices, "default"))
        return entries[place] if place < len(entries) else ""
    return ""


_CODE = re.compile("[0-9A-Fa-f]{2,4}")
_LEAVES: Mapping[str, Callable[[Element], str]] = {
    "t": _read_letters,
    "oMath": write_formula,
    "sym": _read_sign,
    "fldChar": _read_field,
    "textpath": lambda art: get_attribute(art, "string"),
}
"""Elements with a text that isn't that of the elements in them."""
_SCRIPTS = {"superscript": RAISED, "subscript": LOWERED}
_PARTS = ("styles", "numbering", "footnotes", "endnotes")
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


def _iterate(container: Element) -> Iterator[Element]:
    """Yield children, those of transparent wrappers in their place, without what was removed."""
    for child in container:
        name = get_name(child)
        if name in _TRANSPARENT:
            yield from _iterate(child)
        elif name == "AlternateContent":
            yield from _iterate_first(child)
        elif name == "sdt":
            if not _is_contents(child):
                yield from (part for part in _iterate(child) if get_name(part) not in _NO_TEXT)
        elif name not in _REMOVED_TAGS and name:
            yield child


def _iterate_first(alternatives: Element) -> Iterator[Element]:
    """Yield the children of the first alternative: the others say the same for older programs."""
    for choice in alternatives:
        yield from _iterate(choice)
        return


def _goes_on(properties: Element | None) -> bool:
    """Tell whether a paragraph and the next one are one: its end was deleted, or it is a large first letter."""
    if properties is None:
        return False
    frame = properties.find("{*}framePr")
    dropped = frame is not None and get_attribute(frame, "dropCap", "none") != "none"
    return dropped or properties.find("{*}rPr/{*}del") is not None


def _is_contents(control: Element) -> bool:
    gallery = control.find("{*}sdtPr/{*}docPartObj/{*}docPartGallery")
    return gallery is not None and get_attribute(gallery, "val") == "Table of Contents"


def _is_removed(row: Element) -> bool:
    properties = row.find("{*}trPr")
    if properties is None:
        return False
    return properties.find("{*}del") is not None or bool(read_switch(properties, "hidden"))


def _list_cells(row: Element) -> list[Element]:
    return [cell for cell in _iterate(row) if get_name(cell) == "tc"]


def _lays_out(rows: list[Element]) -> bool:
    """Tell whether a table only lays out a page: one column, others in its cells, or long texts."""
    if max((len(_list_cells(row)) for row in rows), default=0) < 2:
        return True
    for cell in (cell for row in rows for cell in _list_cells(row)):
        if cell.find(".//{*}tbl") is not None:
            return True
        if sum(len(text.text or "") for text in cell.iter("{*}t")) > _LONGEST_CELL:
            return True
    return False


def _index_notes(notes: Element) -> dict[str, Element]:
    return {get_attribute(note, "id"): note for note in notes}
