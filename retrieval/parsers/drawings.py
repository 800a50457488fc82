"""Drawings of Office files, alike in all three kinds: shapes with text, charts and diagrams."""

from collections.abc import Iterator, Mapping
from itertools import chain

from retrieval.parsers.archive import Archive, Element, get_attribute, get_name, to_number
from retrieval.parsers.office_formulas import write_formula
from retrieval.parsers.scripts import LEVEL, LOWERED, RAISED, mark_runs
from retrieval.parsers.symbol_fonts import is_symbol_font, read_symbols
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["Drawings", "get_relation", "iterate_shapes", "read_paragraphs", "read_runs"]

_DEEPEST = 8


def get_relation(element: Element) -> str:
    """Return the relation's id, which shares its name with an element's own."""
    return next((value for key, value in element.items() if key.endswith("}id")), "")


class Drawings:
    """The charts and diagrams that a part refers to."""

    def __init__(self, writer: TextWriter, archive: Archive, relations: Mapping[str, tuple[str, str]]) -> None:
        self._writer = writer
        self._archive = archive
        self._relations = relations

    def add_chart(self, relation: str) -> None:
        """Add a chart's title, and its series as the columns of a table."""
        _, name = self._relations.get(relation, ("", ""))
        if not self._archive.has(name):
            return
        root = self._archive.read_xml(name)
        self._writer.add_paragraph("".join(read_runs(title) for title in root.iterfind("{*}chart/{*}title")))
        series = list(root.iter("{*}ser"))
        columns = [_read_points(series[0], "cat"), *(_read_points(one, "val") for one in series)] if series else []
        names = ["", *("".join(text.text or "" for text in one.iterfind("{*}tx//{*}v")) for one in series)]
        places = sorted({place for column in columns for place in column})
        rows = ([column.get(place, "") for column in columns] for place in places)
        self._writer.add_table(chain([names], rows), 1)

    def add_diagram(self, relation: str) -> None:
        """Add a diagram's texts as a list."""
        _, name = self._relations.get(relation, ("", ""))
        if self._archive.has(name):
            points = self._archive.read_xml(name).iter("{*}pt")
            self._writer.add_list(f"- {text}" for point in points if (text := join_words(read_runs(point))))


def iterate_shapes(tree: Element | None) -> Iterator[Element]:
    """Yield the shapes that are shown, those of groups in their place."""
    for shape in tree if tree is not None else ():
        name = get_name(shape)
        if name == "AlternateContent":
            yield from chain.from_iterable(iterate_shapes(choice) for choice in shape.iterchildren("{*}Choice"))
        elif name in ("sp", "grpSp", "graphicFrame", "cxnSp"):
            properties = shape.find("./*/{*}cNvPr")
            if properties is not None and get_attribute(properties, "hidden") in ("1", "true"):
                continue
            if name == "grpSp":
                yield from iterate_shapes(shape)
            else:
                yield shape


def read_paragraphs(shape: Element) -> Iterator[tuple[str, str]]:
    """Yield the paragraphs that have text, each with its bullet or number and its indentation."""
    numbers: dict[int, int] = {}
    for paragraph in shape.iterfind("{*}txBody/{*}p"):
        text = read_runs(paragraph)
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


def read_runs(paragraph: Element) -> str:
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
    if properties is None:
        return text.text or ""
    fonts = (get_attribute(font, "typeface") for font in properties.iterchildren("{*}sym", "{*}latin"))
    words = read_symbols(text.text or "", next(filter(is_symbol_font, fonts), ""))
    baseline = get_attribute(properties, "baseline")
    return words if baseline in ("", "0") else f"{LOWERED if baseline.startswith('-') else RAISED}{words}{LEVEL}"


def _read_points(series: Element, kind: str) -> dict[int, str]:
    """Return the points of a chart's series, as the file keeps them, by their places."""
    points = series.iterfind("{*}" + kind + "//{*}pt")
    return {to_number(point.get("idx")): point.findtext("{*}v") or "" for point in points}
