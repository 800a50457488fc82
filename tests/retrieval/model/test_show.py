import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.__main__ import main
from retrieval.parsers import ParsedDocument
from retrieval.show import describe_chunks
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import WordEmbedder

pytestmark = pytest.mark.model


def test_a_file_is_shown_chunk_by_chunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kestrel.md"
    file.write_text("# Kestrel K2\n\n## Warranty\n\nIt lasts 31 months.\n\n## Price\n\nIt costs 49 euros.\n")
    assert main(["show", str(file)]) == 0
    assert capsys.readouterr().out == (
        'kestrel.md: text/markdown, "Kestrel K2", 77 characters, 2 chunks\n'
        "\n--- 1: Kestrel K2 > Warranty [5 tokens, 19 characters, 27–46]\n"
        "It lasts 31 months.\n"
        "\n--- 2: Kestrel K2 > Price [5 tokens, 18 characters, 58–76]\n"
        "It costs 49 euros.\n"
    )


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Kestrel K2\n\nIt lasts 31 months.\n")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "retrieval", "show", str(tmp_path / "a.md")]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_pages_and_warnings_are_shown() -> None:
    parsed = ParsedDocument("application/pdf", "", "One.\fTwo.", [], [0, 5], ["Something is lost."])
    lines = list(describe_chunks(parsed, ingest_request(filename="a.pdf"), WordEmbedder()))
    assert lines[:2] == ["a.pdf: application/pdf, 9 characters, 1 chunks", "warning: Something is lost."]
    assert lines[3].startswith("--- 1: a.pdf, page 1 [")


def test_a_file_that_cannot_be_read_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "film.md"
    file.write_bytes(b"\x07\x07\x07\xff nothing known \x02")
    assert main(["show", str(file)]) == 1
    out, err = capsys.readouterr()
    assert (out, "Accepted are Markdown" in err) == ("", True)


@pytest.mark.parametrize(("name", "reason"), [("none.md", "No such file"), (".", "Is a directory")])
def test_a_path_that_is_no_file_is_told_as_a_person_gave_it(
    name: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(tmp_path / name)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / name} can't be opened: {reason}")
    assert "retriever" not in told


def test_a_person_gets_no_advice_of_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("bitsandbytes"), "level", logging.NOTSET)
    (tmp_path / "a.md").write_text("It lasts 31 months.")
    assert main(["show", str(tmp_path / "a.md")]) == 0
    assert logging.getLogger("bitsandbytes").level == logging.ERROR, "it warns that it fetches no faster kernels"
