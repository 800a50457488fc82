import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits, Unreadable
from tests.retrieval.model.parsers.pdf_files import make_pdf

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[4]


def test_a_document_is_read_by_the_parser_of_its_format() -> None:
    assert read_document(b"# Prices\n", "a.txt", ParseLimits()).headings == []
    assert [heading.title for heading in read_document(b"# Prices\n", "a.md", ParseLimits()).headings] == ["Prices"]


@pytest.mark.parametrize(
    ("data", "limits", "says"),
    [
        (b"word " * 300, ParseLimits(input_bytes=1000), "larger than 1000 bytes"),
        (b"word " * 300, ParseLimits(characters=1000), "1500 characters of text; the limit is 1000"),
        (make_pdf(["x", "y", "z"]), ParseLimits(pages=2), "3 pages; the limit is 2"),
    ],
    ids=["bytes", "characters", "pages"],
)
def test_a_document_over_a_limit_is_refused(data: bytes, limits: ParseLimits, says: str) -> None:
    with pytest.raises(DocumentUnreadable, match=says) as caught:
        read_document(data, "a", limits)
    assert caught.value.code == "invalid_file"


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"# Prices\n", ParsedDocument),
        (b"", Unreadable),
        (make_pdf(["x"]), ParsedDocument),
    ],
    ids=["Markdown", "empty", "PDF"],
)
def test_the_process_writes_its_outcome_and_nothing_else(
    data: bytes, outcome: type[ParsedDocument | Unreadable]
) -> None:
    limits = msgspec.json.encode(ParseLimits()).decode()
    command = [sys.executable, "-m", "retrieval.parsers.child", "a", limits]
    environment = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    child = subprocess.run(command, input=data, capture_output=True, timeout=60, env=environment)
    assert (child.returncode, child.stderr) == (0, b"")
    assert isinstance(msgspec.msgpack.decode(child.stdout, type=ParsedDocument | Unreadable), outcome)
