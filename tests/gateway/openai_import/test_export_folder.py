"""A folder of OpenAI's objects as people make one: by hand, by scripts of their own, with other things beside them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.openai_import.export_folder import KINDS, ExportFolder, read_export, read_list, read_member

STORE_FILE = {"id": "file-1", "object": "vector_store.file"}


def export_of(folder: Path, files: dict[str, Any]) -> ExportFolder:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_export(folder)


def ids_of(export: ExportFolder) -> dict[str, list[str]]:
    return {kind: list(records) for kind, records in export.records.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["object", "list", "page", "lines"])
def test_a_kind_is_known_by_its_file_where_records_do_not_say_it(tmp_path: Path, kind: str, form: str) -> None:
    records = [{"id": "a"}, {"id": "b"}] if form != "object" else [{"id": "a"}]
    content: Any = {
        "object": records[0],
        "list": records,
        "page": {"object": "list", "data": records},
        "lines": "\n\n".join(map(json.dumps, records)),
    }[form]
    name = f"{KINDS[kind]}.{'jsonl' if form == 'lines' else 'json'}"
    place = f"lists/{name}" if KINDS[kind] in ("files", "chat_completion_messages") else name
    found = export_of(tmp_path, {place: content}).of(kind)
    assert [record["id"] for record in found.values()] == [record["id"] for record in records]


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("Fine-Tuning-Jobs.json", "fine_tuning.job"),
        ("jobs.json", "fine_tuning.job"),
        ("fine_tunes/old.json", "fine_tuning.job"),
        ("vector-stores/all.json", "vector_store"),
        ("vector_stores/vector_store_files.json", "vector_store.file"),
        ("evals/eval_runs/one.json", "eval.run"),
        ("2026/prompts/desk.json", "prompt"),
    ],
)
def test_the_innermost_name_that_is_one_of_openais_says_the_kind(tmp_path: Path, place: str, kind: str) -> None:
    assert list(export_of(tmp_path, {place: {"id": "a"}}).records) == [kind]


@pytest.mark.parametrize("object", ["eval", "list", "of mine", None, 7, ["eval"], {"kind": "eval"}])
def test_what_a_record_says_goes_before_its_file_where_it_is_a_kind(tmp_path: Path, object: Any) -> None:
    said = export_of(tmp_path, {"prompts.json": [{"id": "a", "object": object, "version": 1}]})
    assert ids_of(said) == ({"eval": ["a"]} if object == "eval" else {"prompt": ["a@1"]})


@pytest.mark.parametrize("record", [{"id": 7}, {"id": ""}, {"name": "x"}, {"id": None}, ["a"], "a", 7, None])
def test_what_has_no_id_is_left_alone(tmp_path: Path, record: Any) -> None:
    export = export_of(tmp_path, {"evals.json": [record, {"id": "a"}], "package.json": {"id": "own", "object": {}}})
    assert (ids_of(export), export.unreadable) == ({"eval": ["a"]}, [])


def test_a_file_is_in_as_many_stores_as_name_it_and_a_prompt_has_versions(tmp_path: Path) -> None:
    export = export_of(
        tmp_path,
        {
            "vector_store_files/vs_1.json": [STORE_FILE],
            "vector_store_files/vs_2.jsonl": json.dumps(STORE_FILE),
            "vector_store_files/rest.json": [STORE_FILE | {"vector_store_id": "vs_3"}],
            "prompts.json": [{"id": "p", "version": "2"}, {"id": "p", "version": "1"}, {"id": "p"}],
        },
    )
    files = export.of("vector_store.file")
    assert sorted(files) == ["vs_1/file-1", "vs_2/file-1", "vs_3/file-1"]
    assert sorted(record["vector_store_id"] for record in files.values()) == ["vs_1", "vs_2", "vs_3"]
    assert list(export.of("prompt")) == ["p@2", "p@1", "p@"]
    assert export.of("eval") == {}


def test_what_is_broken_is_named_with_its_place_and_stops_nothing_else(tmp_path: Path) -> None:
    export = export_of(
        tmp_path,
        {
            "evals.json": '{"id": "a"',
            "more/evals.jsonl": '{"id": "b"}\nno json\n',
            "chat_completion_messages/c.json": "[",
            "chat_completion_messages/d.jsonl": '{"role": "user", "content": "Hi"}\n',
            "prompts.json": {"id": "p"},
            "notes.txt": "no json either",
        },
    )
    assert [fault.partition(":")[0] for fault in export.unreadable] == [
        "evals.json",
        "more/evals.jsonl",
        "chat_completion_messages/c.json",
    ]
    assert list(export.records) == ["prompt"]
    assert export.messages == {"d": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("file-1", "file-1"),
        ("file-1.pdf", "file-1"),
        ("file-1_guide.v2.pdf", "file-1"),
        ("file-1_a_b", "file-1"),
        ("batch_7.jsonl", "batch_7"),
        ("file-1.jsonl.partial", None),
    ],
)
@pytest.mark.parametrize("folder", ["files", "parsed_texts"])
def test_bytes_are_found_by_the_id_that_begins_their_name(
    tmp_path: Path, folder: str, name: str, id: str | None
) -> None:
    export = export_of(tmp_path, {f"{folder}/{name}": '{"id": "x", "object": "eval"}', f"{folder}/more/x": ""})
    own, other = (export.contents, export.texts) if folder == "files" else (export.texts, export.contents)
    assert own == ({} if id is None else {id: tmp_path / folder / name})
    assert (other, export.records) == ({}, {}), "bytes are no records, whatever is in them"


@pytest.mark.parametrize("value", [None, "x", 7, [], ["x", None, {"a": 1}], {"a": 1}])
def test_members_of_another_form_count_as_missing(value: Any) -> None:
    record = {"member": value}
    assert read_member(record, "member") == (value if isinstance(value, dict) else {})
    assert read_list(record, "member") == ([{"a": 1}] if isinstance(value, list) and value else [])
    assert (read_member({}, "member"), read_list({}, "member")) == ({}, [])
