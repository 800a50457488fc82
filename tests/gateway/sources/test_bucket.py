"""Against a server on loopback that answers as S3 does to what is asked: a list in pages, and objects.

moto, which would be another one, brings 60 packages and 180 MB for this file alone. The reader was run against its
server (5.2.5) once: 2,300 objects in three pages, one changed, one deleted, a bucket that isn't there.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gateway.sources.bucket import BucketReader, find_bucket, open_bucket
from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import ItemUnreadable, SourceUnreadable

ALLOWED = ("s3://docs/{tenant}", "s3://everybody")


class S3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200
        self.fail_after = 1000
        self.refusal = b""
        self.asked: list[str] = []
        self.signed: list[bool] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        self.asked.append(target)
        self.signed.append("authorization: aws4-hmac-sha256" in head.lower())
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body, tag = self._list(query) if "list-type" in query else self._get(unquote(parts.path))
        if self.refusal:
            status, body = 403, self.refusal
        headers = (
            f"content-length: {len(body)}\r\nconnection: close\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        )
        writer.write(f'HTTP/1.1 {status} X\r\n{headers}etag: "{tag}"\r\n\r\n'.encode() + body)
        await writer.drain()
        writer.close()

    def _list(self, query: dict[str, str]) -> tuple[int, bytes, str]:
        start = int(query.get("continuation-token", 0))
        if self.status != 200 or start >= self.fail_after:
            return 403, b"<Error><Code>AccessDenied</Code></Error>", ""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        folders = dict.fromkeys(
            prefix + key.removeprefix(prefix).partition("/")[0] + "/"
            for key in keys
            if delimiter and "/" in key.removeprefix(prefix)
        )
        keys = [key for key in keys if not key.startswith(tuple(folders))]
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>{len(self.objects[key])}"
            f"</Size><ETag>{hashlib.md5(self.objects[key]).hexdigest()}</ETag></Contents>"
            for key in keys[start : start + 2]
        )
        more = start + 2 < len(keys)
        rest = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if more else ""
        flag = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        rows += "".join(f"<CommonPrefixes><Prefix>{one}</Prefix></CommonPrefixes>" for one in folders if not start)
        return 200, f"<ListBucketResult>{flag}{rest}{rows}</ListBucketResult>".encode(), ""

    def _get(self, path: str) -> tuple[int, bytes, str]:
        body = self.objects.get(path.split("/", 2)[2])
        return (404, b"<Error/>", "") if body is None else (200, body, hashlib.md5(body).hexdigest())


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3]:
    fake = S3()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {"ENDPOINT_URL": f"http://127.0.0.1:{port}", "REGION": "us-east-1"}
    for name, value in {**environment, "ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "a-secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    async with server:
        yield fake


async def read(opened: BucketReader, key: str) -> bytes:
    async with aclosing(opened.read(key)) as parts:
        return b"".join([part async for part in parts])


async def test_the_objects_below_a_prefix_are_read_page_by_page(s3: S3) -> None:
    s3.objects = {f"kestrel/a/{number}.md": f"Page {number}.".encode() for number in range(5)}
    s3.objects |= {"kestrel/ab/x.md": b"x", "harbor/x.md": b"x", "kestrel/a/.hidden": b"x"}
    async with open_bucket(ALLOWED, "s3://docs/kestrel/a", "kestrel", PathFilter()) as opened:
        before = await opened.scan({})
        assert set(before.items) == {f"{number}.md" for number in range(5)}
        assert await read(opened, "3.md") == b"Page 3."
        s3.objects["kestrel/a/3.md"] = b"Another."
        after = await opened.scan({})
        assert {key for key in after.items if after.items[key] != before.items[key]} == {"3.md"}
        with pytest.raises(ItemUnreadable):
            await read(opened, "none.md")
    assert all(s3.signed)


async def test_folders_that_consoles_make_are_no_items(s3: S3) -> None:
    s3.objects = {"kestrel/": b"", "kestrel/a/": b"", "kestrel/a/x.md": b"x"}
    async with open_bucket(ALLOWED, "s3://everybody", "kestrel", PathFilter()) as opened:
        listing = await opened.scan({})
    assert (set(listing.items), listing.unread) == ({"kestrel/a/x.md"}, {})


@pytest.mark.parametrize("key", ["a//b.md", "a/../b.md", "a/tab\tb.md"])
async def test_an_object_whose_key_cannot_be_asked_for_hides_its_folder_alone(s3: S3, key: str) -> None:
    s3.objects = {key: b"x", "ok.md": b"x", "b/ok.md": b"x", "/first.md": b"x", "a/ok.md": b"x"}
    async with open_bucket(ALLOWED, "s3://everybody", "kestrel", PathFilter(exclude=["b/"])) as opened:
        listing = await opened.scan({"a/ok.md": "1", "gone.md": "1"})
    assert (set(listing.items), set(listing.unread)) == ({"ok.md"}, {"a/", "a/ok.md"})


async def test_an_object_at_the_top_that_hinders_the_list_is_named(s3: S3) -> None:
    s3.objects = {"tab\t.md": b"x", "ok.md": b"x"}
    async with open_bucket(ALLOWED, "s3://everybody", "kestrel", PathFilter()) as opened:
        with pytest.raises(SourceUnreadable, match=r"tab\t\.md"):
            await opened.scan({})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("PermanentRedirect", "another region"),
        ("InvalidObjectState", "archived"),
        ("SignatureDoesNotMatch", "Signature"),
    ],
)
async def test_why_a_server_refuses_is_said_and_its_answer_is_not(s3: S3, code: str, reason: str) -> None:
    s3.objects = {"ok.md": b"x"}
    async with open_bucket(ALLOWED, "s3://everybody", "kestrel", PathFilter()) as opened:
        s3.refusal = f"<Error><Code>{code}</Code><Message>a-secret</Message></Error>".encode()
        with pytest.raises(ItemUnreadable, match=reason) as item:
            await read(opened, "ok.md")
        with pytest.raises(SourceUnreadable, match=reason) as source:
            await opened.scan({})
    assert "a-secret" not in f"{item.value}{source.value}"


async def test_a_list_that_breaks_off_is_no_list(s3: S3) -> None:
    s3.objects = {f"{number}.md": b"x" for number in range(5)}
    s3.fail_after = 2
    async with open_bucket(ALLOWED, "s3://everybody", "kestrel", PathFilter()) as opened:
        with pytest.raises(SourceUnreadable) as raised:
            await opened.scan({})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://docs", "s3://docs/", "s3://docs/harbor", "s3://docs/kestrels", "s3://docs/kestrel/../harbor"),
        *("s3://docs/kestrel//x", "s3://docs/kestrel/%2e%2e/harbor", "s3://other", "s3://", "docs/kestrel", ""),
        *("https://docs/kestrel", "s3://docs@evil.example/kestrel", "s3://docs/kestrel?x", "s3://docs/kestrel/./x"),
    ],
)
def test_no_other_place_may_be_read(url: str) -> None:
    with pytest.raises(SourceUnreadable):
        find_bucket(ALLOWED, url, "kestrel")


def test_what_is_lent_may_be_read_by_whom_it_is_lent_to() -> None:
    assert find_bucket(ALLOWED, "s3://docs/kestrel/a/b/", "kestrel") == ("docs", "kestrel/a/b")
    assert find_bucket(ALLOWED, "s3://everybody/x", "harbor") == ("everybody", "x")
    for allowed, tenant in (((), "kestrel"), (ALLOWED, ""), (("docs/{tenant}",), "kestrel")):
        with pytest.raises(SourceUnreadable):
            find_bucket(allowed, "s3://docs/kestrel", tenant)
