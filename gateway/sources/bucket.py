"""A bucket of an S3-compatible store, of those that the operator named. Its credentials are the worker's environment's
(`AWS_…`, or the machine's role): no tenant sends any, and none are in the database.
"""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError, InvalidPathError
from obstore.store import S3Store

from gateway.sources.path_filter import PathFilter
from gateway.sources.reader import ItemUnreadable, Listing, SourceUnreadable

__all__ = ["BucketReader", "find_bucket", "open_bucket"]

_MOST_FILE_BYTES = 512 << 20
_MOST_ITEMS = 100_000
_TIMEOUT = timedelta(seconds=60)


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
        items: dict[str, str] = {}
        unread: dict[str, str] = {}
        try:
            async for page in obstore.list(self._store, chunk_size=1000):
                for one in page:
                    key = one["path"]
                    if not one["size"] or not self._paths.takes(key):  # empty ones are how consoles keep folders
                        continue
                    if one["size"] > _MOST_FILE_BYTES:
                        unread[key] = f"It is larger than {_MOST_FILE_BYTES >> 20} MB."
                    else:
                        items[key] = one["e_tag"] or f"{one['last_modified'].isoformat()} {one['size']}"
                if len(items) > _MOST_ITEMS:
                    raise SourceUnreadable(f"It has more than {_MOST_ITEMS:,} objects. Make several sources of it.")
        except InvalidPathError as error:  # of which one is enough for no list at all
            reason = str(error).partition("\n")[0].partition(": ")[2]
            raise SourceUnreadable(
                f"The bucket has an object whose key can't be asked for ({reason}). Rename it, or make sources of "
                "prefixes that it isn't in."
            ) from error
        except (BaseError, OSError) as error:
            raise SourceUnreadable(f"The bucket can't be listed ({type(error).__name__}).") from error
        return Listing(items, unread)

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield an object's bytes."""
        try:
            answer = await obstore.get_async(self._store, key)
            async for part in answer.stream():
                yield bytes(part)
        except (BaseError, OSError) as error:
            raise ItemUnreadable(f"It can't be read ({type(error).__name__}).") from error


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def _segments(url: str) -> list[str]:
    """Return bucket and folders of a place; empty for what is none, or could mean another one by `..`."""
    scheme, _, rest = url.partition("://")
    segments = rest.rstrip("/").split("/")
    if scheme != "s3" or not rest.isprintable() or not all(segments) or {".", ".."} & set(segments):
        return []
    return segments if not set("?#%\\@:") & set(rest) else []
