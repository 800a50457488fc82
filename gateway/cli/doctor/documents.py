"""The index, and whether the documents of all stores are in it."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from gateway.cli.doctor.finding import CheckResult
from gateway.counts import format_count
from gateway.db import open_database
from gateway.settings import Settings
from gateway.vector_stores.index_migration_repository import list_index_identities
from gateway.vector_stores.index_service import StaleStore, list_stale
from retrieval.client import IndexUnavailable, Retriever, RetrieverError
from retrieval.identity import IndexIdentity
from retrieval.messages import RetrieverInfo

__all__ = ["check_documents", "check_index", "check_index_folders"]

_EMBEDDED_CHUNKS = 100_000
"""As far as the embedded index and the graph beside it were measured; its process holds all."""

_SECONDS = 5.0
_MOST_NAMED = 5


def check_index(settings: Settings) -> CheckResult:
    """Ask the running retriever how many chunks it holds."""
    kind = f"a Qdrant server at {settings.qdrant_url}" if settings.qdrant_url else "embedded"
    aside = sorted((settings.home / "index").glob("*.unreadable-*"))
    if aside:
        return CheckResult.warning(
            "index",
            f"An index couldn't be read and was set aside: {aside[-1]}.",
            "Run: braid docs reindex (then delete that folder)",
        )
    try:
        infos = _ask_retrievers(settings)
    except (IndexUnavailable, TimeoutError) as error:
        reason = str(error) or f"It doesn't answer within {_SECONDS:g} s."
        return CheckResult.broken("index", f"{kind}. {reason}", "See the retriever's log, and Qdrant's where one runs.")
    if not infos:
        return CheckResult.ok("index", f"{kind}; not running now")
    info = infos[0]
    if problem := next((one.problem for one in infos if one.problem), ""):
        return CheckResult.broken("index", f"{kind}. {problem}", "See the disk of the Qdrant server, and its log.")
    if not settings.qdrant_url and info.points > _EMBEDDED_CHUNKS:
        return CheckResult.warning(
            "index",
            f"The embedded index holds {info.points:,} chunks; it is made for {_EMBEDDED_CHUNKS:,}.",
            "Run a Qdrant server, then run: braid docs move --to ITS_URL (documents are read and written meanwhile)",
        )
    return CheckResult.ok("index", f"{kind}, {format_count(info.points, 'chunk')}")


def check_index_folders(settings: Settings) -> CheckResult:
    """Name the folders of embedded indexes that no store has points in: of a former embedder, or from before a move."""
    folders = sorted(path for path in (settings.home / "index").glob("braid-*") if path.is_dir())
    infos = _list_retrievers(settings)
    if not folders or not infos:
        return CheckResult.ok("index folders", f"{len(folders)}, not compared with the stores")
    try:
        identities = asyncio.run(_list_identities(settings))
    except SQLAlchemyError as error:
        return CheckResult.broken(
            "index folders", f"The database can't be read: {error}", "Correct BRAID_DATABASE_URL."
        )
    identities |= {info.index for info in infos}
    names = {f"braid-{index.embedder}-{index.keywords}" for index in map(IndexIdentity.parse, identities)}
    if settings.qdrant_url and len(infos) == 1:
        names.clear()  # the server has all points, under the same name
    unused = [path for path in folders if path.name not in names and ".unreadable-" not in path.name]
    if not unused:
        return CheckResult.ok("index folders", f"{len(folders)}, all in use")
    size = sum(file.stat().st_size for path in unused for file in path.rglob("*") if file.is_file())
    shown_names = ", ".join(path.name for path in unused[:_MOST_NAMED]) + (", …" if len(unused) > _MOST_NAMED else "")
    return CheckResult.warning(
        "index folders",
        f"{format_count(len(unused), 'folder')} of no store below {settings.home / 'index'} ({size / 1e6:,.0f} MB): "
        f"{shown_names}.",
        "Delete what is named, unless you want to go back to that embedder.",
    )


def check_documents(settings: Settings) -> CheckResult:
    """Compare the stores of all tenants with the index that the running retriever has."""
    if not settings.database_url and not (settings.home / "braid.db").exists():
        return CheckResult.ok("documents", "there is no database yet")
    infos = _list_retrievers(settings)
    if not infos:
        return CheckResult.ok("documents", "not compared with the index, which isn't running now")
    try:
        stale = asyncio.run(_list_stale(settings, infos))
    except SQLAlchemyError as error:
        return CheckResult.broken("documents", f"The database can't be read: {error}", "Correct BRAID_DATABASE_URL.")
    for is_missing, level, consequence in (
        (True, CheckResult.broken, "aren't in the present index: their searches are refused"),
        (
            False,
            CheckResult.warning,
            "were read or cut by an older version of Braid, or without the OCR that there is now; they answer as they "
            "are",
        ),
    ):
        some = [one for one in stale if one.is_missing is is_missing]
        if some:
            names = ", ".join(one.row.id for one in some[:_MOST_NAMED]) + (", …" if len(some) > _MOST_NAMED else "")
            number = sum(one.documents for one in some)
            return level("documents", f"{number} documents of {len(some)} stores ({names}) {consequence}.", _FIX)
    return CheckResult.ok("documents", "the stores are in the index")


_FIX = "Run: braid docs reindex (or set BRAID_REINDEX_AUTOMATICALLY=true)"


def _list_retrievers(settings: Settings) -> list[RetrieverInfo]:
    """Describe those that can say what they have."""
    try:
        return _ask_retrievers(settings)
    except (IndexUnavailable, TimeoutError):
        return []


def _ask_retrievers(settings: Settings) -> list[RetrieverInfo]:
    """Describe those that run.

    Raises:
        IndexUnavailable: One runs, and the server that keeps its index doesn't answer it.
        TimeoutError: One runs, and says nothing.
    """
    if not settings.retriever_socket.exists():
        return []
    try:
        return asyncio.run(_describe(settings))
    except IndexUnavailable:
        raise
    except RetrieverError:
        return []


async def _describe(settings: Settings) -> list[RetrieverInfo]:
    retriever = Retriever(settings.retriever_socket, settings.second_retriever_socket)
    async with asyncio.timeout(_SECONDS), retriever:
        return await retriever.describe_all()


async def _list_identities(settings: Settings) -> set[str]:
    async with open_database(settings.database) as database, database.read() as session:
        return await list_index_identities(session)


async def _list_stale(settings: Settings, present: list[RetrieverInfo]) -> Sequence[StaleStore]:
    async with open_database(settings.database) as database, database.read() as session:
        return await list_stale(session, present)
