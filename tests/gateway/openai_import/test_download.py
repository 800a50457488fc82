"""A folder filled from OpenAI's API: pages, faults, kills, and what OpenAI no longer gives."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai.types
import openai.types.chat
import openai.types.evals
import openai.types.evals.runs
import openai.types.fine_tuning
import openai.types.fine_tuning.jobs
import openai.types.vector_stores
import pytest

from gateway.openai_import.download import download_export
from gateway.openai_import.export_folder import read_export
from gateway.openai_import.hosted_api import HostedApi, HostedApiFailed
from tests.fakes.openai_api import KEY, Fault, HostedServer
from tests.gateway.openai_import import hosted
from tests.gateway.openai_import.hosted import record
from tests.gateway.worker import ROOT

MODELS: dict[str, Any] = {
    "file": openai.types.FileObject,
    "fine_tuning.job": openai.types.fine_tuning.FineTuningJob,
    "fine_tuning.job.checkpoint": openai.types.fine_tuning.jobs.FineTuningJobCheckpoint,
    "vector_store": openai.types.VectorStore,
    "vector_store.file": openai.types.vector_stores.VectorStoreFile,
    "eval": openai.types.EvalListResponse,
    "eval.run.output_item": openai.types.evals.runs.OutputItemListResponse,
    "chat.completion": openai.types.chat.ChatCompletion,
}


@pytest.fixture
def server() -> Iterator[HostedServer]:
    with HostedServer(record()).running() as running:
        yield running


async def download(server: HostedServer, folder: Path, *, timeout: float = 5.0) -> list[str]:
    folder.mkdir(exist_ok=True)
    async with HostedApi(server.url, KEY, pause=0.01, timeout=timeout) as api:
        return (await download_export(api, folder, lambda _title, _count: None)).missing


def test_the_recording_has_openais_shapes() -> None:
    kinds: Counter[str] = Counter()
    for rows in record().lists.values():
        for row in rows:
            kind = row.get("object", "")
            if kind in MODELS:
                MODELS[kind].model_validate(row, strict=True)
                kinds[kind] += 1
    assert set(kinds) == set(MODELS)


async def test_everything_that_is_listed_is_in_the_folder(server: HostedServer, tmp_path: Path) -> None:
    missing = await download(server, tmp_path)
    export = read_export(tmp_path)
    counts = {kind: len(rows) for kind, rows in export.records.items()}
    assert counts == {
        "file": 8,
        "fine_tuning.job": 4,
        "fine_tuning.job.checkpoint": 1,
        "vector_store": 2,
        "vector_store.file": 3,
        "eval": 2,
        "eval.run": 1,
        "eval.run.output_item": hosted.ANSWERS,
        "chat.completion": 3,  # not those of other models
    }
    assert export.contents["file-rows"].read_bytes() == hosted.TRAINING
    assert export.texts["file-locked"].read_text() == "Page one.\nPage two."
    assert sorted(export.messages) == ["chatcmpl-0", "chatcmpl-1", "chatcmpl-2"]
    assert export.unreadable == []
    assert [line.partition(":")[0] for line in missing] == ["prompts"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".partial" or KEY.encode() in path.read_bytes()]


async def test_faults_are_waited_out_and_what_is_gone_is_named(server: HostedServer, tmp_path: Path) -> None:
    server.faults["/files"].extend([Fault(429, headers={"retry-after": "0.01"}), Fault(500), Fault(502)])
    server.faults["/evals/eval_1/runs/evalrun_1/output_items"].extend([Fault(seconds=1.0), Fault(503)])
    server.faults["/files/file-rows/content"].append(Fault(500))
    del server.recording.lists["/chat/completions"]
    missing = await download(server, tmp_path, timeout=0.5)
    export = read_export(tmp_path)
    assert (len(export.of("file")), len(export.of("eval.run.output_item"))) == (8, hosted.ANSWERS)
    assert any(
        line.startswith("/chat/completions: OpenAI answers /chat/completions with status 404") for line in missing
    )


async def test_a_key_that_is_refused_or_silence_ends_it_with_advice(server: HostedServer, tmp_path: Path) -> None:
    async with HostedApi(server.url, "sk-other", pause=0.01) as api:
        with pytest.raises(HostedApiFailed, match="OPENAI_API_KEY"):
            await download_export(api, tmp_path, lambda _title, _count: None)
    server.faults["/evals"].extend([Fault(500)] * 8)
    with pytest.raises(HostedApiFailed, match="goes on from there"):
        await download(server, tmp_path)
    before = len(server.requests)
    await download(server, tmp_path)
    assert "/files" not in server.requests[before:]
    assert len(read_export(tmp_path).of("eval")) == 2


SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.evals.read."


@pytest.mark.parametrize(("status", "error"), [(401, {"message": SCOPES}), (401, SCOPES), (403, {"message": SCOPES})])
async def test_a_list_that_the_key_may_not_read_is_named_and_the_others_are_read(
    server: HostedServer, tmp_path: Path, status: int, error: Any
) -> None:
    server.faults["/evals"].append(Fault(status, error=error))
    missing = await download(server, tmp_path)
    assert f"/evals: OpenAI answers /evals with status {status}: {SCOPES}" in missing
    counts = [len(read_export(tmp_path).of(kind)) for kind in ("file", "vector_store", "eval")]
    assert counts == [8, 2, 0]
    await download(server, tmp_path)
    assert len(read_export(tmp_path).of("eval")) == 2, "another run reads it with another key"


async def test_answers_that_were_all_there_are_not_asked_for_again(
    server: HostedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.openai_import.download._MOST_ANSWERS", 2)
    await download(server, tmp_path)
    (file,) = [one for one in (tmp_path / "chat_completions").iterdir() if one.read_bytes()]
    whole = file.read_bytes()
    assert len(whole.splitlines()) == 2
    file.rename(file.with_name(f"{file.name}.partial"))  # a kill between the last answer and the file's name
    server.requests.clear()
    await download(server, tmp_path)
    assert "/chat/completions" not in server.requests
    assert file.read_bytes() == whole


async def test_a_page_that_is_no_json_ends_it_with_advice(server: HostedServer) -> None:
    (path,) = server.recording.texts
    server.recording.contents[path] = b"<html>"
    del server.recording.texts[path]
    with pytest.raises(HostedApiFailed, match="no content of a file"):
        async with HostedApi(server.url, KEY) as api:
            await api.read_text(path)


async def test_ids_cannot_leave_the_folder(server: HostedServer, tmp_path: Path) -> None:
    server.recording.lists["/files"].append(hosted.file("../../evil", "evil.md", "user_data", 1))
    await download(server, tmp_path / "export")
    assert not list(tmp_path.glob("evil*"))
    assert len(read_export(tmp_path / "export").of("file")) == 8


PROGRAM = """
import asyncio, sys
from pathlib import Path
from gateway.openai_import.download import download_export
from gateway.openai_import.hosted_api import HostedApi
from tests.fakes.openai_api import KEY

async def main(url, folder):
    async with HostedApi(url, KEY, pause=0.01) as api:
        await download_export(api, folder, lambda title, count: None)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


# Whoever starts the tests in the background of a shell has Ctrl-C ignored in all that they start.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from gateway.cli import main
main()
"""


async def interrupt_at(server: HostedServer, path: str, *arguments: str) -> str:
    """Run an import that gets SIGINT while it waits for the answer to a path; return what it told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTIBLE, "import", "openai", *arguments),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url},
        stderr=asyncio.subprocess.PIPE,
    )
    server.faults[path].append(Fault(seconds=60.0))
    server.on_request = lambda asked: os.kill(process.pid, signal.SIGINT) if asked == path else None
    _, errors = await process.communicate()
    server.on_request = lambda _path: None
    assert process.returncode == 130, errors
    return errors.decode()


async def test_ctrl_c_says_what_stays(server: HostedServer, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    told = await interrupt_at(server, "/evals", str(folder), "--live")
    assert told == f"What was read is in {folder}. The same command goes on from there.\n"
    assert len(read_export(folder).of("file")) == 8
    server.recording.lists["/models"] = [{"id": "base"}]
    address = ("--url", server.url.removesuffix("/v1"), "--key", KEY)
    told = await interrupt_at(server, "/files", str(folder), *address)
    assert told == "What was made stays, and trainings that have begun go on. The same command goes on from there.\n"


async def test_a_download_that_is_killed_goes_on_where_it_was(server: HostedServer, tmp_path: Path) -> None:
    """It is killed in mid-list, with a line cut, and the next run asks behind the last whole line."""
    folder = tmp_path / "export"
    folder.mkdir()
    items = "/evals/eval_1/runs/evalrun_1/output_items"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, server.url, str(folder)), cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )

    def kill(path: str) -> None:
        if server.requests.count(items) == 4:
            server.on_request = lambda _path: None
            os.kill(process.pid, signal.SIGKILL)

    server.on_request = kill
    assert await process.wait() == -signal.SIGKILL
    partial = folder / "eval_output_items" / "evalrun_1.jsonl.partial"
    with partial.open("ab") as opened:
        opened.write(b'{"id": "outputitem_cut')
    server.cursors.clear()
    before = len(server.requests)
    await download(server, folder)
    assert not {"/files", "/evals", "/vector_stores"} & set(server.requests[before:])
    assert items in dict(server.cursors)  # it went on behind a row, not from the beginning
    export = read_export(folder)
    lines = (folder / "eval_output_items" / "evalrun_1.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"outputitem_{number}" for number in range(hosted.ANSWERS)]
    assert len(export.contents) == 7
