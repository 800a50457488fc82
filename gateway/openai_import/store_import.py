"""Vector stores with their files; the ids at OpenAI in their metadata say which are there already."""

from collections.abc import Mapping
from typing import Any

from gateway.client import GatewayError
from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder, read_member
from gateway.openai_import.report import ImportReport, add_source

__all__ = ["import_stores"]


async def import_stores(
    export: ExportFolder, gateway: Destination, report: ImportReport, files: Mapping[str, str]
) -> dict[str, str]:
    """Make an export's stores and put their files into them; return the new ids by the old ones.

    It returns when the files can be searched, or have failed.
    """
    stores = export.of("vector_store")
    counts = report.count("vector_stores")
    counts.total = len(stores)
    there = await gateway.list_imported("/v1/vector_stores")
    ids: dict[str, str] = {}
    for number, (id, store) in enumerate(stores.items(), 1):
        if id in there:
            counts.present += 1
            ids[id] = there[id]["id"]
        elif store.get("status") == "expired":
            report.omit("vector_stores", id, str(store.get("name")), "it has expired there, and has no files")
        else:
            new = id if gateway.dry_run else await _create(id, store, gateway, report)
            if new is not None:
                counts.imported += 1
                ids[id] = new
        gateway.show("vector stores", number, len(stores))
    await _add_files(export, gateway, report, files, ids)
    if not gateway.dry_run:
        await _wait(gateway, report, ids, {new: old for old, new in files.items()})
    return ids


async def _create(id: str, store: Mapping[str, Any], gateway: Destination, report: ImportReport) -> str | None:
    body = {
        "name": store.get("name") or id,
        "metadata": add_source(report, "vector_stores", id, store.get("metadata")),
        "expires_after": store.get("expires_after"),
        "description": store.get("description"),
    }
    try:
        return (await gateway.create("/v1/vector_stores", body))["id"]
    except GatewayError as error:
        if not gateway.is_refusal(error):
            raise
        report.omit("vector_stores", id, str(store.get("name")), str(error))
        return None


async def _add_files(
    export: ExportFolder,
    gateway: Destination,
    report: ImportReport,
    files: Mapping[str, str],
    stores: Mapping[str, str],
) -> None:
    rows = export.of("vector_store.file")
    counts = report.count("vector_store_files")
    counts.total = len(rows)
    there = {} if gateway.dry_run else {store: await _list_files(gateway, store) for store in stores.values()}
    for number, (key, row) in enumerate(rows.items(), 1):
        store, file = stores.get(str(row["vector_store_id"])), files.get(row["id"])
        if store is None or file is None:
            missing = "file" if store is not None else "vector store"
            report.omit("vector_store_files", key, "", f"its {missing} isn't taken, see there")
        elif file in there.get(store, ()):
            counts.present += 1
        elif gateway.dry_run or await _add_file(key, row, gateway, report, store, file):
            counts.imported += 1
            there.setdefault(store, set()).add(file)
        gateway.show("files of vector stores", number, len(rows))


async def _list_files(gateway: Destination, store: str) -> set[str]:
    return {row["id"] async for row in gateway.client.read_rows(f"/v1/vector_stores/{store}/files")}


async def _add_file(
    key: str, row: Mapping[str, Any], gateway: Destination, report: ImportReport, store: str, file: str
) -> bool:
    # Sizes of chunks that were `auto` there aren't taken along: they suit another embedder.
    sizes = read_member(read_member(row, "chunking_strategy"), "static")
    body: dict[str, Any] = {"file_id": file, "attributes": row.get("attributes") or {}}
    if sizes and (sizes.get("max_chunk_size_tokens"), sizes.get("chunk_overlap_tokens")) != (800, 400):
        body["chunking_strategy"] = {"type": "static", "static": sizes}
    try:
        await gateway.create(f"/v1/vector_stores/{store}/files", body)
    except GatewayError as error:
        if not gateway.is_refusal(error):
            raise
        report.omit("vector_store_files", key, "", str(error))
        return False
    return True


async def _wait(
    gateway: Destination, report: ImportReport, stores: Mapping[str, str], old_ids: Mapping[str, str]
) -> None:
    """Wait until all files of the stores are read, and say by their ids at OpenAI which weren't."""
    while stores:
        counts = [(await gateway.client.get(f"/v1/vector_stores/{id}"))["file_counts"] for id in stores.values()]
        total = sum(one["total"] for one in counts)
        waiting = sum(one["in_progress"] for one in counts)
        gateway.show("files that can be searched", total - waiting, total)
        if not waiting:
            break
        await gateway.sleep()
    for id, store in stores.items():
        path = f"/v1/vector_stores/{store}/files"
        async for row in gateway.client.read_rows(path):
            if row["status"] == "failed":
                reason = str(read_member(row, "last_error").get("message") or "it failed")
                report.note("vector_store_files", f"{id}/{old_ids.get(row['id'], row['id'])}", "", reason)
