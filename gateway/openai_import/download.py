"""From OpenAI's API to an export folder, list by list; one that was killed goes on where it was."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.errors import BAD_JSON
from gateway.openai_import.export_folder import FILES, MESSAGES, PARSED_TEXTS
from gateway.openai_import.hosted_api import HostedApi, HostedRefusal

__all__ = ["Download", "download_export"]

_MOST_ANSWERS = 500
"""Stored answers of one fine-tuned model whose requests are read: more make no interval narrower that matters."""
_PURPOSES_OF_OTHERS = ("assistants_output", "batch_output")

_BELOW: Mapping[str, Any] = {"limit": 100, "order": "asc"}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,255}")

Show = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Download:
    """The reasons why something isn't in the folder."""

    missing: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _List:
    name: str
    path: str
    params: Mapping[str, Any]


_LISTS = (
    _List("files", "/files", {"limit": 1000, "order": "asc"}),
    _List("fine_tuning_jobs", "/fine_tuning/jobs", {"limit": 100}),
    _List("vector_stores", "/vector_stores", {"limit": 100, "order": "asc"}),
    _List("evals", "/evals", {"limit": 100, "order": "asc"}),
)


async def download_export(api: HostedApi, folder: Path, show: Show) -> Download:
    """Fill a folder with what OpenAI lists, and the bytes of its files.

    A list that is in the folder is taken for whole and not asked for again. `show` is called with the name of what is
    being read and how many of it are there.

    Raises:
        HostedApiFailed: OpenAI doesn't answer, or refuses the key.
    """
    reader = _Reader(api, folder, show)
    rows = {one.name: await reader.read(folder / f"{one.name}.jsonl", one.path, one.params) for one in _LISTS}
    store_files = await reader.read_below("vector_store_files", "/vector_stores/{}/files", rows["vector_stores"])
    await reader.read_below("fine_tuning_checkpoints", "/fine_tuning/jobs/{}/checkpoints", rows["fine_tuning_jobs"])
    runs = await reader.read_below("eval_runs", "/evals/{}/runs", rows["evals"])
    for run in runs:
        path = f"/evals/{quote(run['eval_id'])}/runs/{quote(run['id'])}/output_items"
        await reader.read(folder / "eval_output_items" / f"{run['id']}.jsonl", path, _BELOW)
    answers = [one for job in rows["fine_tuning_jobs"] for one in await _read_answers(reader, folder, job)]
    await reader.read_below(MESSAGES, "/chat/completions/{}/messages", answers)
    await reader.read_contents(rows["files"], store_files)
    reader.state.missing.append("prompts: OpenAI's API doesn't list them. Save them as prompts.jsonl in the folder.")
    return reader.state


async def _read_answers(reader: "_Reader", folder: Path, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the stored answers of a job's model, the newest ones."""
    model = job.get("fine_tuned_model")
    if not model:
        return []
    file = folder / "chat_completions" / f"{job['id']}.jsonl"
    params = {"model": model, "limit": 100, "order": "desc"}
    return await reader.read(file, "/chat/completions", params, most=_MOST_ANSWERS)


class _Reader:
    def __init__(self, api: HostedApi, folder: Path, show: Show) -> None:
        self.state = Download()
        self._api = api
        self._folder = folder
        self._show = show

    async def read(
        self, file: Path, path: str, params: Mapping[str, Any], *, most: int | None = None
    ) -> list[dict[str, Any]]:
        """Return a list's objects, the first `most`, from the file that has them, or from OpenAI into that file."""
        if file.exists():
            return _read_lines(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.partial")
        rows = _read_lines(partial) if partial.exists() else []
        partial.write_bytes(msgspec.json.Encoder().encode_lines(rows))  # without a line that was cut
        if most is not None and len(rows) >= most:  # killed before it had its name
            partial.replace(file)
            return rows
        with partial.open("ab") as handle:
            try:
                async for row in self._api.read_rows(path, params, rows[-1]["id"] if rows else None):
                    if not _ID.fullmatch(row["id"]):  # ids become names of files
                        continue
                    handle.write(msgspec.json.encode(row) + b"\n")
                    rows.append(row)
                    if file.parent == self._folder:
                        self._show(file.stem, len(rows))
                    if len(rows) == most:
                        break
            except HostedRefusal as error:
                self.state.missing.append(f"{path}: {error}")
                handle.close()
                partial.unlink()
                return []
        partial.replace(file)
        return rows

    async def read_below(self, name: str, path: str, parents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the objects of a list that each of some objects has, a file for each."""
        rows: list[dict[str, Any]] = []
        for number, parent in enumerate(parents, 1):
            file = self._folder / name / f"{parent['id']}.jsonl"
            params = _BELOW if name != "fine_tuning_checkpoints" else {"limit": 100}
            rows += await self.read(file, path.format(quote(parent["id"])), params)
            self._show(name, number)
        return rows

    async def read_contents(self, files: Sequence[Mapping[str, Any]], store_files: Sequence[Mapping[str, Any]]) -> None:
        """Read the bytes of files; where OpenAI doesn't give them back, the text that a vector store parsed."""
        stores = {one["id"]: one["vector_store_id"] for one in store_files if one.get("vector_store_id")}
        for name in (FILES, PARSED_TEXTS):
            (self._folder / name).mkdir(exist_ok=True)
        for number, file in enumerate(files, 1):
            if file.get("purpose") not in _PURPOSES_OF_OTHERS:
                await self._read_content(file["id"], file.get("filename") or "", stores.get(file["id"]))
            self._show("contents of files", number)

    async def _read_content(self, id: str, filename: str, store: str | None) -> None:
        target, text = self._folder / FILES / id, self._folder / PARSED_TEXTS / f"{id}.txt"
        if target.exists() or text.exists():
            return
        try:
            await self._api.save(f"/files/{quote(id)}/content", target)
        except HostedRefusal as error:
            if store is None:
                self.state.missing.append(f"{id} ({filename}): {error}")
                return
            await self._read_parsed(f"/vector_stores/{quote(store)}/files/{quote(id)}/content", id, text)

    async def _read_parsed(self, path: str, id: str, file: Path) -> None:
        try:
            content = await self._api.read_text(path)
        except HostedRefusal as error:
            self.state.missing.append(f"{id}: {error}")
            return
        partial = file.with_suffix(".partial")
        partial.write_text(content, encoding="utf-8")
        partial.replace(file)


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file; a kill may have cut the last one."""
    rows: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines():
        with suppress(*BAD_JSON):
            rows.append(msgspec.json.decode(line))
    return rows
