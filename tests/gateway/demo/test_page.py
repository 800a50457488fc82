import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from gateway.demo.page import render_page
from gateway.demo.report import Report
from tests.gateway.demo.reports import make_report

VOID = {"meta", "br", "line", "circle", "rect", "polyline"}
REPORTS = pytest.mark.parametrize(
    "report", [make_report(), make_report(("kestrel",), size="small")], ids=["two tenants", "one tenant"]
)


class Checker(HTMLParser):
    """Reads a page strictly: every tag is closed in order, ids are unique, attributes have values."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert value is not None, (tag, name)
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "action", "poster", "data", "xlink:href"):
                self.addresses.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.data += data
        elif "style" not in self.open:
            self.text.append(data)


def read(report: Report) -> tuple[Checker, str]:
    page = render_page(report)
    checker = Checker()
    checker.feed(page)
    checker.close()
    return checker, page


@REPORTS
def test_the_page_is_valid(report: Report) -> None:
    checker, page = read(report)
    assert page.startswith("<!doctype html>")
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert {"html", "head", "title", "main", "table", "svg"} <= checker.tags
    assert page.count("<svg") == 3


@REPORTS
def test_the_page_needs_no_network_and_runs_no_script(report: Report) -> None:
    checker, page = read(report)
    assert checker.addresses == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bon\w+=", page)
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json" id="report">']
    assert not checker.tags & {"link", "img", "iframe", "object", "embed"}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every string and number of the JSON report, with its path."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from leaves(inner, f"{path}.{name}")
        case list():
            for number, inner in enumerate(value):
                yield from leaves(inner, f"{path}[{number}]")
        case str() | int() | float() if not isinstance(value, bool):
            yield path, value
        case _:
            pass


def shown_as(path: str, value: str | float) -> list[str]:
    """The forms in which the page may show a leaf."""
    if isinstance(value, str):
        return [" ".join(value.replace("**", "").split())]
    if path.endswith("seconds") and path.startswith(".first_answers"):
        return [f"{int(value) // 60}:{int(value) % 60:02}"]
    return [str(value), *(f"{value:.{digits}f}" for digits in range(5))]


@REPORTS
def test_every_figure_of_the_report_can_be_read_on_the_page(report: Report) -> None:
    checker, _ = read(report)
    text = " ".join("".join(checker.text).split())
    # Names of variants and methods stand there as labels; the date as a date; a step as its place in the list.
    elsewhere = re.compile(r"\.variant$|\.interval$|\.created_at$|\.step$|\.answer\.(id|fingerprint)$|\.group$")
    missing = [
        (path, value)
        for path, value in leaves(msgspec.to_builtins(report))
        if not elsewhere.search(path) and not any(form in text for form in shown_as(path, value))
    ]
    assert missing == []


@REPORTS
def test_the_report_itself_is_in_the_page(report: Report) -> None:
    checker, _ = read(report)
    assert msgspec.json.decode(checker.data, type=Report) == report


def test_what_a_model_wrote_is_never_markup() -> None:
    report = make_report()
    evil = msgspec.structs.replace(
        report.first_answers[0], answer="</script><script>alert(1)</script> **bold** <img src=x>"
    )
    checker, page = read(msgspec.structs.replace(report, first_answers=[evil, *report.first_answers[1:]]))
    assert "<script>" not in page
    assert "&lt;img src=x&gt;" in page
    assert "<strong>bold</strong>" in page
    assert msgspec.json.decode(checker.data, type=Report).first_answers[0] == evil


def test_the_edited_values_are_marked() -> None:
    _, page = read(make_report())
    assert "<strong><mark>£57.00</mark></strong>" in page
    assert "<strong><mark>£61.50</mark></strong>" in page


def test_kept_and_broken_promises_are_said_at_the_top() -> None:
    report = make_report()
    assert report.list_faults() == []
    assert "Every promise kept" in read(report)[1]
    lost = msgspec.structs.replace(report.swap, failed=["the engine broke off"])
    _, page = read(msgspec.structs.replace(report, swap=lost))
    assert "1 promise broken" in page
    assert "swap: 1 of 66 requests failed: the engine broke off" in page
