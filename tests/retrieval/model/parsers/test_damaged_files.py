"""Damaged files of every format: each is read or refused, and nothing else happens."""

import io
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers import ParseLimits, ocr, parse
from retrieval.parsers.child import read_document
from tests.retrieval.model.parsers.office_files import FILES, make_docx, pack, repack
from tests.retrieval.model.parsers.test_formats import SAMPLES

pytestmark = pytest.mark.model

PROGRAMS = {path.name: path.read_bytes() for path in sorted(FILES.iterdir()) if path.suffix not in (".sh", "")}
WHOLE = {**SAMPLES, **PROGRAMS}
PACKED = {name: data for name, data in WHOLE.items() if data.startswith(b"PK")}
VALUES = [
    b"",
    b"-1",
    b"99999999999999999999",
    b"x",
    "٣²".encode(),
    b"1.5",
    b"%9",
    b"../x",
    b"A1:B2",
    b"\0",
    b"\xff",
    b"&#0;",
]
NAMES = st.sampled_from(["a", "a.csv", "a.json", "a.jsonl", "a.py", "a.tex", "a.html", "a.md", "a.mbox"])


def read_or_refuse(data: bytes, name: str) -> None:
    try:
        parsed = read_document(data, name, ParseLimits())
    except DocumentUnreadable:
        return
    parsed.text.encode()
    assert all(block.start <= block.head <= block.end <= len(parsed.text) for block in parsed.blocks)
    assert all(heading.start < len(parsed.text) for heading in parsed.headings)
    assert parsed.blocks == sorted(parsed.blocks, key=lambda block: (block.start, -block.end))


@pytest.fixture(autouse=True)
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the one step that takes seconds."""
    monkeypatch.setattr(ocr, "_PATH", "/nowhere")


def each(files: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("data", files.values(), ids=files)


@each(WHOLE)
@settings(max_examples=25, deadline=None)
@given(st.data(), NAMES)
def test_a_file_with_other_bytes_in_it_is_read_or_refused(data: bytes, draw: st.DataObject, name: str) -> None:
    broken = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(data)))
        broken[at : at + draw.draw(st.integers(0, 40))] = draw.draw(st.binary(max_size=8) | st.sampled_from(VALUES))
    read_or_refuse(bytes(broken), name)


@each(PACKED)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_packed_file_with_other_values_in_its_parts_is_read_or_refused(data: bytes, draw: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    name = draw.draw(st.sampled_from(sorted(name for name in parts if name.endswith(("ml", "rels", "opf", "ncx")))))
    part = parts[name]
    assert isinstance(part, bytes)
    values = [match.span(1) for match in re.finditer(rb'[">]([^"<>]*)["<]', part)]
    for start, end in sorted(draw.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)), reverse=True):
        part = part[:start] + draw.draw(st.sampled_from(VALUES)) + part[end:]
    read_or_refuse(pack({**parts, name: part}), "a")


@each(PROGRAMS)
async def test_a_file_of_a_program_is_read_within_the_limits_of_a_child(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    assert (await parse(path, "a.bin")).text == read_document(data, "a.bin", ParseLimits()).text


async def test_a_part_that_needs_more_memory_than_there_is_fails_alone(tmp_path: Path) -> None:
    # Packs to a twentieth, so that nothing but the tree that is made of it gives it away.
    body = "".join(f"<w:p><w:r><w:t>{n:x}</w:t></w:r></w:p>" for n in range(400_000))
    path = tmp_path / "upload"
    path.write_bytes(make_docx(body))
    with pytest.raises(DocumentUnreadable, match="memory") as caught:
        await parse(path, "a.docx", ParseLimits(memory=256 * 1024**2))
    assert caught.value.code == "invalid_file"


@pytest.mark.timeout(60)
def test_tags_that_are_nested_without_end_are_refused() -> None:
    deep = "<w:sdt><w:sdtContent>" * 20_000
    document = f'<w:document xmlns:w="x"><w:body>{deep}'
    with pytest.raises(DocumentUnreadable, match="no XML"):
        read_document(repack(make_docx(""), word_document_xml=document), "a", ParseLimits())
    nested = "<w:p>" + "<w:smartTag>" * 240 + "<w:r><w:t>kept</w:t></w:r>" + "</w:smartTag>" * 240 + "</w:p>"
    assert read_document(make_docx(nested), "a", ParseLimits()).text == "kept"
