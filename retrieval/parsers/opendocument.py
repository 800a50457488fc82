"""An OpenDocument file: its parts, and its styles as far as they decide about text."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Archive, Element, get_attribute, get_name, parse_xml, to_number
from retrieval.parsers.list_numbers import write_letters, write_roman
from retrieval.parsers.parsed_document import FileContent, ParseLimits
from retrieval.parsers.table_rows import COVERED_CELL
from retrieval.parsers.text_writer import is_code

__all__ = [
    "ListCounts",
    "OpenDocument",
    "OpenDocumentStyles",
    "expand_row",
    "iterate_rows",
    "parse_flat",
    "read_repeats",
]

_PICTURE = re.compile(rb"<office:binary-data>[^<]*</office:binary-data>")
_DEEPEST = 9
_WHITE = "#ffffff"
_NEAR_WHITE = frozenset(("#fffffe", "#fefefe"))
_PICTURES = frozenset(("bitmap", "gradient", "hatch"))
_DRAWN = tuple(
    f"{{*}}{name}"
    for name in "frame custom-shape rect path polygon regular-polygon polyline ellipse circle caption g".split()
)
_EFFECTS = ("text-shadow", "font-relief")
_TRANSPARENT = "transparent"
_TINY = re.compile(r"[01](?:\.\d+)?pt")
_MOST_SPANNED = 100
_ROW_GROUPS = frozenset(("table-header-rows", "table-row-group", "table-rows"))


class OpenDocument:
    """The parts of a file.

    Attributes:
        body: The element `office:text`, `office:spreadsheet` or `office:presentation`; empty if the file has none.
        title: The title in the file's properties, or "".

    Raises:
        DocumentUnreadable: Broken, encrypted or over a limit.
    """

    def __init__(self, content: FileContent, limits: ParseLimits, kind: str) -> None:
        self._archive = None if content.text else Archive(content.data, limits)
        roots = [parse_flat(content.data)] if self._archive is None else _read_parts(self._archive)
        body = roots[-1].find("{*}body/{*}" + kind)
        self.body: Element = body if body is not None else ()
        self.styles = OpenDocumentStyles(roots)
        self.title = next((title for root in roots if (title := root.findtext("{*}meta/{*}title"))), "")

    def read_object(self, element: Element) -> Element | None:
        """Return the root of what is embedded, such as a formula or a chart; None where that is no OpenDocument."""
        part = f"{get_attribute(element, 'href').removeprefix('./')}/content.xml"
        if self._archive is not None and self._archive.has(part):
            return self._archive.read_xml(part)
        return next((child for child in element if get_name(child) in ("math", "document")), None)


def parse_flat(data: bytes) -> Element:
    """Return the root of a file that isn't packed, without its pictures.

    Raises:
        DocumentUnreadable: No XML.
    """
    return parse_xml(_PICTURE.sub(b"", data), "document")


def _read_parts(archive: Archive) -> list[Element]:
    """Return the roots of the parts with properties, styles and, last, the content."""
    if archive.has("META-INF/manifest.xml") and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentUnreadable(
            "invalid_file", "The file is encrypted. Save it without a password, then upload it again."
        )
    content = archive.read_xml("content.xml")
    return [*(archive.read_xml(name) for name in ("meta.xml", "styles.xml") if archive.has(name)), content]


class ListCounts:
    """The last number at each level, of each list by its id and of the newest of each style."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[int, int]] = {}
        self._by_style: dict[str, dict[int, int]] = {}

    def begin(self, element: Element, style: str) -> dict[int, int]:
        """Return the counts of an outermost list: those of the list that it continues, or none yet."""
        counts: dict[int, int] = {}
        if continued := get_attribute(element, "continue-list"):
            counts = self._by_id.get(continued, counts)
        elif get_attribute(element, "continue-numbering") == "true":
            counts = self._by_style.get(style, counts)
        self._by_style[style] = counts
        if id := get_attribute(element, "id"):
            self._by_id[id] = counts
        return counts

    @staticmethod
    def count(counts: dict[int, int], level: int, number: int) -> None:
        """Set the number at a level, below which numbers begin anew."""
        counts[level] = number
        for deeper in [at for at in counts if at > level]:
            del counts[deeper]


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    parent: str
    hidden: bool | None
    color: str | None
    shade: str | None
    ground: str | None
    position: str
    font: str
    behind: bool


class OpenDocumentStyles:
    """Styles by family and name; what one doesn't say comes from its parent.

    Colours are written `#rrggbb`, and "" is one that can't be told: of text that a program gives a colour which is seen
    on what is behind it, of a picture, of pages some of which have another colour.

    Attributes:
        page_ground: What is behind the text of all pages.
    """

    def __init__(self, roots: list[Element]) -> None:
        self._styles: dict[tuple[str, str], _Style] = {}
        self._lists: dict[str, dict[int, Element]] = {}
        for root in roots:
            for element in root.iterfind("./*/{*}style"):
                name = get_attribute(element, "display-name") or get_attribute(element, "name").replace("_20_", " ")
                key = get_attribute(element, "family"), get_attribute(element, "name")
                self._styles[key] = _Style(
                    name,
                    get_attribute(element, "parent-style-name"),
                    _read_hidden(element),
                    _read_color(element),
                    _read_ground(element.iterchildren("{*}text-properties")),
                    _read_ground(part for part in element if get_name(part) != "text-properties"),
                    _read_position(element),
                    _read_font(element),
                    _read_behind(element),
                )
            for element in (*root.iterfind("./*/{*}list-style"), *root.iterfind("./*/{*}outline-style")):
                levels = {to_number(get_attribute(level, "level"), 1): level for level in element}
                is_outline = get_name(element) == "outline-style"
                self._lists["" if is_outline else get_attribute(element, "name")] = levels
        grounds = {_read_ground(layout) for root in roots for layout in root.iterfind("./*/{*}page-layout")}
        is_paper = grounds <= {None, _TRANSPARENT, _WHITE} and not any(map(self._has_shapes_behind, roots))
        self.page_ground = _WHITE if is_paper else ""

    def is_hidden(self, family: str, name: str) -> bool:
        """Tell whether a style hides what has it: text, a section, a table or a slide."""
        return next((style.hidden for style in self._chain(family, name) if style.hidden is not None), False)

    def find_color(self, family: str, name: str) -> str | None:
        """Return the colour of a style's text; None where it says nothing."""
        return next((style.color for style in self._chain(family, name) if style.color is not None), None)

    def find_ground(self, family: str, name: str) -> str | None:
        """Return the colour that a style puts behind what has it; None where that is what was there before."""
        chain = self._chain(family, name)
        shade = next((style.shade for style in chain if style.shade is not None), _TRANSPARENT)
        ground = next((style.ground for style in chain if style.ground is not None), _TRANSPARENT)
        return next((color for color in (shade, ground) if color != _TRANSPARENT), None)

    def _has_shapes_behind(self, root: Element) -> bool:
        names = {get_attribute(shape, "style-name") for shape in root.iter(*_DRAWN)}
        return any(style.behind for name in names for style in self._chain("graphic", name))

    def find_position(self, name: str) -> str:
        """Return where a style puts text: `super 58%`, `sub`, `-33% 58%`; "" where it says nothing."""
        return next((style.position for style in self._chain("text", name) if style.position), "")

    def find_font(self, name: str) -> str:
        """Return the font of a style of characters; "" where it says nothing."""
        return next((style.font for style in self._chain("text", name) if style.font), "")

    def is_title(self, name: str) -> bool:
        return any(style.name.lower() == "title" for style in self._chain("paragraph", name))

    def is_code(self, name: str) -> bool:
        return any(is_code(style.name) for style in self._chain("paragraph", name))

    def make_label(self, list_style: str, level: int, counts: Mapping[int, int]) -> str:
        """Return the label of a list's item or a heading: "-" for a bullet, "" where it shows none.

        Args:
            list_style: Its name; "" is that of headings.
            level: From 1.
            counts: The number at each level so far.
        """
        style = self._lists.get(list_style, {}).get(level)
        if style is None or get_name(style) == "list-level-style-bullet":
            return "-" if list_style else ""
        form = get_attribute(style, "num-format")
        if not form:
            return "-" if list_style else ""
        depth = to_number(get_attribute(style, "display-levels"), 1)
        places = range(max(level - depth, 0) + 1, level + 1)
        numbers = [self._write_number(list_style, place, counts.get(place, 1)) for place in places]
        number = ".".join(filter(None, numbers))
        return f"{get_attribute(style, 'num-prefix')}{number}{get_attribute(style, 'num-suffix')}".strip()

    def _write_number(self, list_style: str, level: int, number: int) -> str:
        style = self._lists.get(list_style, {}).get(level)
        form = get_attribute(style, "num-format") if style is not None else ""
        if form in ("a", "A"):
            text = write_letters(number, repeated=True)
        elif form in ("i", "I"):
            text = write_roman(number)
        else:
            return str(number) if form else ""
        return text.upper() if form.isupper() else text

    def get_start(self, list_style: str, level: int) -> int:
        style = self._lists.get(list_style, {}).get(level)
        value = get_attribute(style, "start-value", "1") if style is not None else "1"
        return to_number(value, 1)

    def _chain(self, family: str, name: str) -> list[_Style]:
        chain: list[_Style] = []
        while (family, name) in self._styles and len(chain) < _DEEPEST:
            chain.append(self._styles[family, name])
            name = chain[-1].parent
        return chain


def _read_hidden(style: Element) -> bool | None:
    for properties in style:
        display = get_attribute(properties, "display")
        if display:
            return display in ("none", "false")
        if get_attribute(properties, "visibility") == "hidden":
            return True
        if _TINY.fullmatch(get_attribute(properties, "font-size")):
            return True
    return None


def _read_position(style: Element) -> str:
    properties = style.find("{*}text-properties")
    return get_attribute(properties, "text-position") if properties is not None else ""


def _read_font(style: Element) -> str:
    properties = style.find("{*}text-properties")
    return (
        get_attribute(properties, "font-name") or get_attribute(properties, "font-family")
        if properties is not None
        else ""
    )


def _read_color(style: Element) -> str | None:
    """Return the colour of a style's text; None where it gives none.

    It is "" where programs choose it by what is behind, and where a shadow or a relief has the text seen in any colour.
    """
    for properties in style.iterchildren("{*}text-properties"):
        if get_attribute(properties, "use-window-font-color") == "true":
            return ""
        if any(get_attribute(properties, name, "none") != "none" for name in _EFFECTS):
            return ""
        if color := get_attribute(properties, "color"):
            return _write_color(color)
    return None


def _read_ground(parts: Iterable[Element]) -> str | None:
    """Return the colour that parts of a style put behind what has it, `transparent` for none; None for nothing said."""
    for properties in parts:
        fill = get_attribute(properties, "fill")
        color = get_attribute(properties, "background-color")
        color = color or (get_attribute(properties, "fill-color") if fill == "solid" else "")
        pictures = properties.iterchildren("{*}background-image")
        if fill in _PICTURES or any(len(picture) or picture.attrib for picture in pictures):
            return ""
        if color:
            return _write_color(color)
    return None


def _write_color(color: str) -> str:
    color = color.lower()
    return _WHITE if color in _NEAR_WHITE else color


def _read_behind(style: Element) -> bool:
    """Tell whether a style puts shapes behind the text."""
    return any(get_attribute(properties, "run-through") == "background" for properties in style)


def iterate_rows(table: Element) -> Iterator[tuple[Element, bool]]:
    """Yield a table's rows, each with whether it is one of the header's."""
    for child in table:
        name = get_name(child)
        if name == "table-row":
            yield child, False
        elif name in _ROW_GROUPS:
            for row, header in iterate_rows(child):
                yield row, header or name == "table-header-rows"


def read_repeats(element: Element, name: str) -> int:
    """Return how often a row, a cell or a column stands: an attribute says it once for many."""
    value = get_attribute(element, name, "1")
    return max(to_number(value, 1), 1)


def expand_row(row: Element, texts: list[str], spans: dict[int, tuple[int, str]]) -> dict[int, str]:
    """Return the texts of a row's cells by column, without empty ones but those that the cell before reaches into.

    Args:
        row: With cells that stand for several, cells over several rows or columns, and those that they cover.
        texts: The text of each of its cells, in order.
        spans: Column → rows below that a cell reaches into, and its text; kept from row to row.
    """
    line: dict[int, str] = {}
    column = reach = 0
    cells = [cell for cell in row if get_name(cell) in ("table-cell", "covered-table-cell")]
    for cell, text in zip(cells, texts, strict=True):
        repeats = read_repeats(cell, "number-columns-repeated")
        last = column + repeats
        if get_name(cell) == "table-cell":
            reach = column + min(read_repeats(cell, "number-columns-spanned"), _MOST_SPANNED) if text else 0
        line.update((at, COVERED_CELL) for at in range(column, min(last, reach)) if get_name(cell) != "table-cell")
        for at in range(column, last) if text else [at for at in spans if column <= at < last]:
            rows, above = spans.pop(at, (0, ""))
            content = above if get_name(cell) == "covered-table-cell" else text
            if content:
                line[at] = content
            down = read_repeats(cell, "number-rows-spanned") - 1
            if get_name(cell) == "table-cell" and down:
                spans[at] = min(down, _MOST_SPANNED), text
            elif rows > 1:
                spans[at] = rows - 1, above
        column += repeats
    return line
