"""Files, by their name, purpose and bytes: what the gateway has already isn't sent again."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.client import GatewayError
from gateway.errors import BadRequest
from gateway.files.training_rows import check_training_file
from gateway.openai_import.destination import Destination
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.report import ImportReport

__all__ = ["import_files"]

_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".heic", ".tif", ".tiff")
_PURPOSES = ("assistants", "batch", "fine-tune", "user_data", "evals")
_RESULTS = {
    "fine-tune-results": "figures of a training there; they stay in the folder",
    "assistants_output": "an answer's output, not a source of any; it stays in the folder",
    "batch_output": "an answer's output, not a source of any; it stays in the folder",
}


async def import_files(export: ExportFolder, gateway: Destination, report: ImportReport) -> dict[str, str]:
    """Upload an export's files; return the new ids by the old ones.

    Two files with one name, one purpose and the same bytes become one.
    """
    files = export.of("file")
    report.count("files").total = len(files)
    there = [row async for row in gateway.client.read_rows("/v1/files")]
    by_form: dict[tuple[str, str, int], list[str]] = {}
    for row in there:
        by_form.setdefault((row["filename"], row["purpose"], row["bytes"]), []).append(row["id"])
    uploads = _Uploads(gateway, report, by_form)
    ids: dict[str, str] = {}
    for number, (id, file) in enumerate(files.items(), 1):
        reason = _find_reason(file, export)
        name = str(file.get("filename") or "")
        if reason is not None:
            report.omit("files", id, name, reason)
        else:
            new = await uploads.put(id, file, export)
            if new is not None:
                ids[id] = new
        gateway.show("files", number, len(files))
    return ids


def _find_reason(file: Mapping[str, Any], export: ExportFolder) -> str | None:
    """Say why a file can't be taken; None where it can."""
    purpose, name = str(file.get("purpose")), str(file.get("filename") or "").lower()
    if purpose in _RESULTS:
        return _RESULTS[purpose]
    if purpose == "vision" or name.endswith(_IMAGES):
        return "an image: no text can be read from it here"
    if purpose not in _PURPOSES:
        return f"the purpose {purpose!r} doesn't exist here"
    if file["id"] not in export.contents and file["id"] not in export.texts:
        return f"its bytes aren't in the folder. Put them there as files/{file['id']}"
    return None


class _Uploads:
    def __init__(
        self, gateway: Destination, report: ImportReport, by_form: dict[tuple[str, str, int], list[str]]
    ) -> None:
        self._gateway = gateway
        self._report = report
        self._by_form = by_form
        self._digests: dict[str, str] = {}

    async def put(self, id: str, file: Mapping[str, Any], export: ExportFolder) -> str | None:
        """Return a file's new id; in a dry run the old one stands for one that would be made."""
        path, name = export.contents.get(id), str(file.get("filename") or id)
        if path is None:
            path, name = export.texts[id], f"{name}.txt"
            self._report.note("files", id, name, "OpenAI doesn't give back its bytes: the text that it parsed is taken")
        purpose = str(file["purpose"])
        if purpose == "fine-tune" and not name.lower().endswith(".jsonl"):
            name += ".jsonl"
        form, digest = (name, purpose, path.stat().st_size), _digest(path)
        for candidate in self._by_form.get(form, ()):
            if await self._read_digest(candidate) == digest:
                self._report.count("files").present += 1
                return candidate
        new = await (self._try if self._gateway.dry_run else self._upload)(id, form, path)
        if new is not None:
            self._report.count("files").imported += 1
            self._digests[new] = digest
            self._by_form.setdefault(form, []).append(new)
        return new

    async def _try(self, id: str, form: tuple[str, str, int], path: Path) -> str | None:
        """Check rows to train on as an upload of them does, without one."""
        if form[1] == "fine-tune":
            try:
                await asyncio.to_thread(check_training_file, path)
            except BadRequest as error:
                self._report.omit("files", id, form[0], error.message)
                return None
        return id

    async def _upload(self, id: str, form: tuple[str, str, int], path: Path) -> str | None:
        name, purpose, _ = form
        try:
            with path.open("rb") as handle:
                files = {"file": (name, handle)}
                row = await self._gateway.create("/v1/files", data={"purpose": purpose}, files=files)
        except GatewayError as error:
            if not self._gateway.is_refusal(error):
                raise
            self._report.omit("files", id, name, str(error))
            return None
        return row["id"]

    async def _read_digest(self, id: str) -> str:
        if id not in self._digests:
            digest = hashlib.sha256()
            async for part in self._gateway.client.read_content(f"/v1/files/{id}/content"):
                digest.update(part)
            self._digests[id] = digest.hexdigest()
        return self._digests[id]


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
