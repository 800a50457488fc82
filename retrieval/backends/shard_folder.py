"""The folder of a shard of Qdrant's own engine: opened or made, set aside, replaced by a better copy of itself."""

import logging
import os
import shutil
import time
from pathlib import Path

import qdrant_edge as edge

from retrieval.backends.protocol import DENSE, KEYWORDS, PAYLOAD_INTEGERS, PAYLOAD_KEYWORDS

__all__ = [
    "GRAPH_KILOBYTES",
    "IndexLocked",
    "IndexUnreadable",
    "make_config",
    "name_copy",
    "open_shard",
    "replace_shard",
]

GRAPH_KILOBYTES = 10_000
"""Of vectors: where a filter lets through less, the engine compares the points one by one. Its own default."""

_NEIGHBOURS, _CANDIDATES = 16, 100
"""The engine's own m and ef_construct."""

_MAPPED = edge.Memory.Cached
"""The place of an index, once its graph is built: a file whose pages the system may drop, instead of the heap."""

_LEAST_FREE_BYTES = 64 * 1024**2
"""Of a disk on which an index is made, whose files take 46 MB without a point; where one can't be read, less may be the
reason. The engine maps files into memory, so that a process without room ends by a signal and says nothing."""

_LEAST_TO_OPEN_BYTES = 1024**2
_log = logging.getLogger(__name__)


class IndexLocked(Exception):
    """Another process has the shard open."""


class IndexUnreadable(Exception):
    """The shard can't be opened, for a reason that its operator has to remove."""


def open_shard(folder: Path, dimensions: int) -> edge.EdgeShard:
    """Open the shard in `folder`, or make one there.

    One that can't be read is set aside and replaced by an empty one, since a retriever that doesn't start helps
    nobody: the new one has another identity, by which it is seen that the documents have to be indexed again.

    Raises:
        IndexLocked: Another process has it open.
        IndexUnreadable: It can't be read or made for a reason that lies outside of it, such as a full disk.
    """
    replaced = _name_replaced(folder)
    if not folder.exists() and replaced.exists():  # killed between the two renames of `replace_shard`
        replaced.rename(folder)
    if not folder.exists():
        _create(folder, dimensions)
    _check_room(folder, _LEAST_TO_OPEN_BYTES, "opened")
    try:
        shard = edge.EdgeShard.load(str(folder))
    except Exception as error:  # The binding raises bare Exceptions.
        if "WouldBlock" in str(error):
            raise IndexLocked(
                f"The index at {folder} is open in another process. Stop that retriever, or use another data folder."
            ) from error
        aside = _set_aside(folder, error)
        _log.exception("the index at %s can't be read: set aside as %s, and a new one made", folder, aside.name)
        _create(folder, dimensions)
        shard = edge.EdgeShard.load(str(folder))
    for leftover in (replaced, *folder.parent.glob(f"{folder.name}.copy-*.unfinished")):
        shutil.rmtree(leftover, ignore_errors=True)
    return shard


def make_config(dimensions: int, kilobytes: int = GRAPH_KILOBYTES) -> edge.EdgeConfig:
    """Return the layout of a shard; a segment with so many kilobytes of vectors gets a graph, when it is asked for."""
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
        sparse_vectors={KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf, memory=_MAPPED)},
        hnsw_config=edge.HnswIndexConfig(
            m=_NEIGHBOURS, ef_construct=_CANDIDATES, full_scan_threshold=kilobytes, max_indexing_threads=1
        ),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=kilobytes),
    )


def name_copy(folder: Path) -> Path:
    """Return the place of a copy to work on, which the next start removes if it is left."""
    return folder.with_name(f"{folder.name}.copy-{time.time_ns()}.unfinished")


def replace_shard(folder: Path, shard: edge.EdgeShard, better: Path) -> edge.EdgeShard:
    """Close a shard and open the copy of it in `better` in its place; if that fails, the shard itself again.

    A kill in between leaves one of the two under the shard's name, or is mended by the next start.
    """
    replaced = _name_replaced(folder)
    shard.close()
    folder.rename(replaced)
    try:
        better.rename(folder)
        successor = edge.EdgeShard.load(str(folder))
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        replaced.rename(folder)
        _log.exception("the copy of the index at %s can't be opened: it stays as it was", folder)
        return edge.EdgeShard.load(str(folder))
    shutil.rmtree(replaced, ignore_errors=True)
    return successor


def _name_replaced(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced.unfinished")


def _set_aside(folder: Path, error: Exception) -> Path:
    """Rename an index that can't be read, unless permissions or a full disk are the reason, which a rename won't mend.

    Raises:
        IndexUnreadable: So it is.
    """
    blocked = [path for path in (folder, *folder.rglob("*")) if not os.access(path, os.R_OK | os.W_OK)]
    free = shutil.disk_usage(folder).free
    if blocked or free < _LEAST_FREE_BYTES:
        reason = f"this process may not read and write {blocked[0]}" if blocked else f"the disk has {free} bytes free"
        raise IndexUnreadable(f"The index at {folder} can't be opened: {reason}. {error}") from error
    aside = folder.with_name(f"{folder.name}.unreadable-{time.time_ns()}")
    return folder.rename(aside)


def _check_room(folder: Path, least: int, verb: str) -> None:
    """Look before a shard is made or opened whether its disk has room for that.

    Raises:
        IndexUnreadable: It hasn't.
    """
    free = shutil.disk_usage(folder.parent).free
    if free < least:
        raise IndexUnreadable(
            f"The index at {folder} can't be {verb}: the disk has {free} bytes free, and that takes {least}. Delete "
            "what isn't needed there."
        )


def _create(folder: Path, dimensions: int) -> None:
    """Make an empty shard beside its place and move it there: a kill in between leaves nothing half-made."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the texts in it are nobody else's to read
    _check_room(folder, _LEAST_FREE_BYTES, "made")
    shard = edge.EdgeShard.create(str(unfinished), make_config(dimensions))
    create_index = edge.UpdateOperation.create_field_index
    shard.update(create_index("tenant", edge.KeywordIndexParams(is_tenant=True)))
    for field in PAYLOAD_KEYWORDS:
        # A search's filter looks at the store of each point; that has few values, and the others one per point.
        shard.update(create_index(field, edge.KeywordIndexParams(memory=None if field == "store" else _MAPPED)))
    for field in PAYLOAD_INTEGERS:
        shard.update(create_index(field, edge.PayloadSchemaType.Integer))
    shard.flush()
    shard.close()
    unfinished.rename(folder)
