"""A folder of OpenAI's objects, as its API lists them: JSON or JSONL by kind, and the bytes of files.

A record's kind is its member `object`; where it has none, as prompts, the name of its file or folder. `files/` has the
bytes, each under the file's id, or the id with an ending, or the id, `_` and a name; `parsed_texts/` has texts of files
whose bytes OpenAI doesn't give back; `chat_completion_messages/` has the messages of a stored answer under its id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

from gateway.errors import BAD_JSON

__all__ = [
    "FILES",
    "KINDS",
    "MESSAGES",
    "PARSED_TEXTS",
    "ExportFolder",
    "Records",
    "read_export",
    "read_list",
    "read_member",
]

FILES = "files"
PARSED_TEXTS = "parsed_texts"
MESSAGES = "chat_completion_messages"
KINDS: Mapping[str, str] = {
    "file": "files",
    "fine_tuning.job": "fine_tuning_jobs",
    "fine_tuning.job.checkpoint": "fine_tuning_checkpoints",
    "vector_store": "vector_stores",
    "vector_store.file": "vector_store_files",
    "prompt": "prompts",
    "eval": "evals",
    "eval.run": "eval_runs",
    "eval.run.output_item": "eval_output_items",
    "chat.completion": "chat_completions",
}
"""The name of the file or folder that has a kind's records, by their member `object`."""
_BY_NAME = {name: kind for kind, name in KINDS.items()} | {"jobs": "fine_tuning.job", "fine_tunes": "fine_tuning.job"}
_BYTES = (FILES, PARSED_TEXTS, MESSAGES)

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ExportFolder:
    """The records of a folder by kind and id, the paths of the files' bytes by their ids, and what can't be read.

    `texts` are files of which only the parsed text is there. `messages` are the requests of stored answers.
    """

    records: dict[str, Records]
    contents: dict[str, Path]
    texts: dict[str, Path]
    messages: dict[str, list[dict[str, Any]]]
    unreadable: list[str] = field(default_factory=list[str])

    def of(self, kind: str) -> Records:
        return self.records.get(kind, {})


def read_export(folder: Path) -> ExportFolder:
    """Read a folder; what isn't OpenAI's in it is left alone, and what is broken is named in `unreadable`."""
    export = ExportFolder({}, _find_contents(folder / FILES), _find_contents(folder / PARSED_TEXTS), {})
    for path in _find_json(folder):
        try:
            _add_records(export, folder, path)
        except BAD_JSON as error:
            export.unreadable.append(f"{path.relative_to(folder)}: {error}")
    for path in sorted((folder / MESSAGES).glob("*.json*")):
        try:
            export.messages[path.stem] = list(_read_records(path))
        except BAD_JSON as error:
            export.unreadable.append(f"{path.relative_to(folder)}: {error}")
    return export


def read_member(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside a record; an empty one where there is none."""
    value = record.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def read_list(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list inside a record."""
    value = record.get(name)
    values = cast("list[Any]", value) if isinstance(value, list) else []
    return [one for one in values if isinstance(one, dict)]


def _find_json(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix in (".json", ".jsonl") and parts[0] not in _BYTES and path.is_file():
            yield path


def _find_contents(folder: Path) -> dict[str, Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {_read_id(path.name): path for path in paths if path.is_file() and path.suffix != ".partial"}


def _read_id(name: str) -> str:
    """Return the id that a file of bytes is named after: `file-abc`, `file-abc.pdf` or `file-abc_guide.pdf`."""
    id = name.partition(".")[0]
    head, separator, _ = id.partition("_")
    return head if separator and head.startswith("file-") else id


def _add_records(export: ExportFolder, folder: Path, path: Path) -> None:
    file_kind = next((_BY_NAME[part] for part in _spell(path.relative_to(folder)) if part in _BY_NAME), None)
    for record in _read_records(path):
        own = record.get("object")
        kind = own if isinstance(own, str) and own in KINDS else file_kind
        id = record.get("id")
        if kind is None or not isinstance(id, str) or not id:
            continue
        key = id
        if kind == "vector_store.file":  # the file's id, in as many stores as it is in
            key = f"{record.get('vector_store_id') or path.stem}/{id}"
            record.setdefault("vector_store_id", path.stem)
        if kind == "prompt":
            key = f"{id}@{record.get('version') or ''}"
        export.records.setdefault(kind, {})[key] = record


def _spell(path: Path) -> list[str]:
    """Return a path's names as `KINDS` spells them, innermost first."""
    return [name.lower().replace("-", "_") for name in (path.stem, *reversed(path.parts[:-1]))]


def _read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file: one, a list of them, a page of OpenAI's, or a line for each."""
    data = path.read_bytes()
    if path.suffix == ".jsonl":
        values: list[Any] = [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
    else:
        values = [msgspec.json.decode(data)]
    for value in values:
        for one in _unwrap(value):
            if isinstance(one, dict):
                yield cast("dict[str, Any]", one)


def _unwrap(value: Any) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    page = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    data = page.get("data")
    return cast("list[Any]", data) if isinstance(data, list) and "id" not in page else [value]
