"""The form of an upload by itself: however its bytes arrive it is the same form, and what is none says why."""

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.files.form import UploadForm

TYPE = "multipart/form-data; boundary=b"
FILE = 'name="file"; filename="a.txt"'


def part(disposition: str, data: bytes = b"x", header: str = "Content-Disposition") -> bytes:
    return f"--b\r\n{header}: form-data; {disposition}\r\n\r\n".encode() + data + b"\r\n"


async def read(body: bytes, cuts: Sequence[int] = ()) -> tuple[UploadForm, bytes]:
    """Read a form that arrives in pieces, cut at these places."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in pairwise(places):
            yield body[start:end]

    form = UploadForm(TYPE)
    return form, b"".join([data async for data in form.read_file_bytes(pieces())])


async def fault(body: bytes, cuts: Sequence[int] = ()) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        await read(body, cuts)
    return error.value


DATA = st.lists(st.sampled_from([b"\r\n", b"--", b"b", b"\r\n--", b"\r\n--c", b"\x00\xff", b"x"])).map(b"".join)


@given(
    DATA.filter(lambda data: b"\r\n--b" not in data), st.text(max_size=20), st.lists(st.integers(0, 400), max_size=8)
)
async def test_a_form_is_the_same_however_its_bytes_arrive(data: bytes, purpose: str, cuts: list[int]) -> None:
    field = purpose.encode().replace(b"\r\n--b", b"")
    body = part('name="purpose"', field) + part(FILE, data) + part('name="after"', b"y") + b"--b--\r\n"
    form, file = await read(body, cuts)
    assert (file, form.filename) == (data, "a.txt")
    assert form.fields == {"purpose": field.decode(), "after": "y"}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="a b.txt"', "a b.txt"),
        ('name="file"; filename="C:\\docs\\a.txt"', "a.txt"),
        ('name="file"; filename="../../etc/passwd"', "passwd"),
        ('name="file"; filename="größe.txt"', "größe.txt"),
        ("name=file; filename=a.txt", "a.txt"),
        ('name="file"; filename="the %22big%22 one, 100%25.txt"', 'the "big" one, 100%25.txt'),
        ("name=\"file\"; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("name=\"file\"; filename*=iso-8859-1'de'na%EFve.txt", "naïve.txt"),
        ('name="file"; filename="?.txt"; filename*=utf-8\'\'%E2%82%AC.txt', "€.txt"),
        ("name=\"file\"; filename*=utf-8''..%2F..%2Fa.txt", "a.txt"),
    ],
)
async def test_a_file_has_its_own_name_and_none_of_its_folders(disposition: str, name: str) -> None:
    form, _ = await read(part(disposition) + b"--b--\r\n")
    assert form.filename == name


async def test_a_header_has_any_case_and_a_field_any_bytes() -> None:
    body = part('name="purpose"', b"na\xefve", header="CONTENT-disposition") + part(FILE) + b"--b--"
    assert (await read(body))[0].fields == {"purpose": "naïve"}
    with_type = part('name="purpose"\r\nContent-Type: text/plain', b"a") + part(FILE) + b"--b--"
    assert (await read(with_type))[0].fields == {"purpose": "a"}


PREAMBLES = st.lists(st.sampled_from([b"\r\n", b"\n", b"-", b"--", b"b", b"--c", b"This is a form.", b"\x00"])).map(
    b"".join
)


@given(PREAMBLES.filter(lambda text: b"--b" not in text), st.binary(max_size=30), st.lists(st.integers(0, 400)))
async def test_text_before_the_first_boundary_and_behind_the_last_is_left_out(
    text: bytes, behind: bytes, cuts: list[int]
) -> None:
    before = text and text + b"\r\n"
    form, file = await read(before + part('name="purpose"', b"a") + part(FILE, b"--x") + b"--b--\r\n" + behind, cuts)
    assert (file, form.fields) == (b"--x", {"purpose": "a"})


@pytest.mark.parametrize(("size", "taken"), [(65_536, True), (65_537, False)])
@pytest.mark.parametrize("cuts", [(), (70_000,), range(0, 70_000, 1_000), (65_534,), (65_536,), (65_538,)])
async def test_the_text_before_a_form_is_bounded(size: int, taken: bool, cuts: Sequence[int]) -> None:
    body = b"x" * (size - 2) + b"\r\n" + part(FILE) + b"--b--\r\n"
    if taken:
        assert (await read(body, cuts))[1] == b"x"
    else:
        assert "first 65536 bytes" in (await fault(body, cuts)).message


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (part(FILE), None, "cut short"),
        (part(FILE) + b"--b", None, "cut short"),
        (b"", None, "cut short"),
        (b"no form at all", None, "no line of it is the boundary"),
        (b"x--b\r\n", None, "no line of it is the boundary"),
        (b"\r\n--bc\r\n", None, "isn't a readable multipart form"),
        (b"\r\n", None, "cut short"),
        (part('name="purpose"') + b"--b--\r\n", "file", "no part 'file'"),
        (part('name="file"') + b"--b--\r\n", "file", "has no file name"),
        (part(FILE) + part(FILE) + b"--b--\r\n", "file", "'file' twice"),
        (part('name="a"') + part('name="a"') + part(FILE) + b"--b--\r\n", "a", "'a' twice"),
        (part('name="purpose"', b"x" * 65_537) + part(FILE) + b"--b--\r\n", "purpose", "longer than 65536"),
        (part(f'name="{"x" * 5_000}"') + b"--b--\r\n", None, "isn't a readable multipart form"),
        (part('name="a"' + "\r\nX: y" * 9) + b"--b--\r\n", None, "isn't a readable multipart form"),
    ],
)
async def test_what_is_no_form_with_one_file_is_refused(body: bytes, param: str | None, words: str) -> None:
    error = await fault(body)
    assert (error.param, words in error.message) == (param, True), error.message


@pytest.mark.parametrize(("fields", "taken"), [(15, True), (16, False)])
async def test_a_form_has_sixteen_parts_at_most(fields: int, taken: bool) -> None:
    body = b"".join(part(f'name="f{number}"') for number in range(fields)) + part(FILE) + b"--b--\r\n"
    if taken:
        assert len((await read(body))[0].fields) == fields
    else:
        assert "more than 16 parts" in (await fault(body)).message


async def test_a_field_may_be_as_long_as_its_bound() -> None:
    form, _ = await read(part('name="purpose"', b"x" * 65_536) + part(FILE) + b"--b--\r\n", range(0, 60_000, 7_000))
    assert len(form.fields["purpose"]) == 65_536


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"])
def test_another_kind_of_body_is_told_what_is_expected(kind: str) -> None:
    with pytest.raises(BadRequest, match="'purpose' and 'file'"):
        UploadForm(kind)
    with pytest.raises(BadRequest, match="Send 'data', as curl"):
        UploadForm(kind, part="data", shape="'data'")
