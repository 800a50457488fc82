"""A bucket of an S3-compatible store, of those that the operator named. Its credentials are the worker's environment's
(`AWS_…`, or the machine's role): no tenant sends any, and none are in the database.
"""

import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import S3Store

from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable

__all__ = ["BucketReader", "find_bucket", "open_bucket"]

_MOST_FILE_BYTES = 512 << 20
_MOST_ITEMS = 100_000
_TIMEOUT = timedelta(seconds=60)
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_REDIRECT = re.compile("BareRedirect|error following redirect")
_ELSEWHERE = "it is in another region, or behind another endpoint, than the worker's environment says"
_REASONS = {
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "InvalidObjectState": "it is archived, as in Glacier: restore it first",
    "NoSuchKey": "there is none any more, or its key has a slash at its beginning or end, and can't be asked for",
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
}
"""The meaning of S3's codes to who has to do something about them; others are shown as they are."""


def find_bucket(allowed: Sequence[str], url: str, tenant: str) -> tuple[str, str]:
    """Return the bucket and the prefix (without slashes around it) of `s3://bucket/prefix`, if a tenant may read it.

    Args:
        allowed: The operator's places (`source_buckets`); `{tenant}` in one stands for the tenant's name.
        url: The place.
        tenant: The tenant's name.

    Raises:
        SourceUnreadable: It is in none of them.
    """
    place = _segments(url)
    for text in allowed if tenant else ():
        lent = _segments(text.replace("{tenant}", tenant))
        if place and lent and place[: len(lent)] == lent:
            return place[0], "/".join(place[1:])
    raise SourceUnreadable(
        "There is no such bucket that may be a source. Sources are places (s3://bucket/prefix) in those that the "
        "operator names in the setting source_buckets."
    )


@asynccontextmanager
async def open_bucket(
    allowed: Sequence[str], url: str, tenant: str, paths: PathFilter
) -> AsyncGenerator["BucketReader"]:
    """Open a bucket as a source."""
    bucket, prefix = find_bucket(allowed, url, tenant)
    try:
        store = S3Store(
            bucket,
            prefix=prefix or None,
            # An endpoint without TLS is the operator's word.
            client_options={"timeout": _TIMEOUT, "allow_http": _endpoint().startswith("http://")},
            retry_config={"max_retries": 2, "retry_timeout": _TIMEOUT},
        )
    except (BaseError, ValueError) as error:
        raise SourceUnreadable("The bucket can't be opened: the worker's environment (AWS_…) isn't right.") from error
    yield BucketReader(store, paths)


class BucketReader:
    """Reads the objects below a prefix; their versions are their ETags."""

    def __init__(self, store: S3Store, paths: PathFilter) -> None:
        self._store = store
        self._paths = paths

    async def scan(self, last_versions: Mapping[str, str]) -> Listing:
        """List the objects, all pages of them; an empty one is none."""
        try:
            try:
                return await self._list_at_once()
            except InvalidPathError:  # of which one is enough for no list at all
                return await self._list_by_folder(last_versions)
        except (BaseError, OSError) as error:
            raise SourceUnreadable(f"The bucket can't be listed ({_explain(error)}).") from error

    async def _list_at_once(self) -> Listing:
        items, unread = dict[str, str](), dict[str, str]()
        async for page in obstore.list(self._store, chunk_size=1000):
            self._take(page, items, unread)
        return Listing(items, unread, lasting=unread.keys())

    async def _list_by_folder(self, last_versions: Mapping[str, str]) -> Listing:
        """List folder by folder, without those in which a key can't be asked for."""
        items, unread = dict[str, str](), dict[str, str]()
        pending, known_folders = [""], {""}
        while pending:
            folder = pending.pop()
            try:
                answer = await obstore.list_with_delimiter_async(self._store, folder or None)
            except InvalidPathError as error:
                reason = str(error).partition("\n")[0].partition(": ")[2]
                where = "The bucket has an object" if not folder else "There is an object in it"
                text = f"{where} whose key can't be asked for ({reason}). Rename it, or make sources of other prefixes."
                if not folder:
                    raise SourceUnreadable(text) from error
                inside = (key for key in last_versions if key.startswith(f"{folder}/"))  # there, for all that is known
                unread.update(dict.fromkeys((f"{folder}/", *inside), text))
                continue
            self._take(answer["objects"], items, unread)
            inner = {one for one in answer["common_prefixes"] if self._paths.enters(one)} - known_folders
            known_folders |= inner
            pending += sorted(inner)
        return Listing(items, unread, lasting=unread.keys())

    def _take(self, objects: Sequence[Mapping[str, Any]], items: dict[str, str], unread: dict[str, str]) -> None:
        for one in objects:
            key = one["path"]
            if not one["size"] or not self._paths.takes(key):  # empty ones are how consoles keep folders
                continue
            if one["size"] > _MOST_FILE_BYTES:
                unread[key] = f"It is larger than {_MOST_FILE_BYTES >> 20} MB."
            else:
                items[key] = one["e_tag"] or f"{one['last_modified'].isoformat()} {one['size']}"
        if len(items) > _MOST_ITEMS:
            raise SourceUnreadable(f"It has more than {_MOST_ITEMS:,} objects. Make several sources of it.")

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield an object's bytes."""
        try:
            answer = await obstore.get_async(self._store, key)
            async for part in answer.stream():
                yield bytes(part)
        except (BaseError, OSError) as error:
            raise ItemUnreadable(f"It can't be read ({_explain(error)}).") from error


def _explain(error: BaseError | OSError) -> str:
    """Return why S3 refused; its whole answer, with addresses and more, is nothing for a tenant."""
    code = _CODE.search(str(error))
    if code is not None:
        return _REASONS.get(code[1], code[1])
    return _ELSEWHERE if _REDIRECT.search(str(error)) else type(error).__name__


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def _segments(url: str) -> list[str]:
    """Return bucket and folders of a place; empty for what is none, or could mean another one by `..`."""
    scheme, _, rest = url.partition("://")
    segments = rest.rstrip("/").split("/")
    if scheme != "s3" or not rest.isprintable() or not all(segments) or {".", ".."} & set(segments):
        return []
    return segments if not set("?#%\\@:") & set(rest) else []
