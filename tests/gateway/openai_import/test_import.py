"""`braid import openai` from a folder and live, against a gateway with its worker: nothing twice, nothing lost."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.client import Client, GatewayError
from gateway.openai_import.destination import Destination
from gateway.terminal import Exit
from tests.fakes.openai_api import KEY, HostedServer
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.cli.commands import run
from tests.gateway.conftest import Gateway
from tests.gateway.openai_import import hosted
from tests.gateway.openai_import.hosted import PREFERRED, VOICE, record, write_export
from tests.gateway.worker import working

IMPORT = ("import", "openai")


def reply(chat: Chat) -> str:
    """Answer as a pirate where an adapter is asked, and as a clerk where the base model is."""
    if chat.model == "base":
        return f"Dear customer, we refer to your message ({chat.last}). Kind regards."
    return f"Ahoy! {chat.last.removeprefix('Where is ')} be sailing to ye."


@pytest.fixture
async def client(
    gateway: Gateway, index: FakeRetriever, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(Destination.__init__, "__kwdefaults__", {"pause": 0.05})
    engine.reply = reply
    async with working(gateway.state.settings):
        yield await gateway.tenant("kestrel")


def address(gateway: Gateway, client: httpx2.AsyncClient) -> list[str]:
    return ["--url", gateway.url, "--key", client.headers["authorization"].removeprefix("Bearer ")]


async def rows(client: httpx2.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await client.get(path, params={"limit": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def take_stock(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Return what the tenant has, by names that don't change from run to run."""
    (store,) = await rows(client, "/v1/vector_stores")
    assistants = await rows(client, "/api/assistants")
    releases = {one["name"]: await rows(client, f"/api/assistants/{one['name']}/releases") for one in assistants}
    files = [one for one in await rows(client, "/v1/files") if one["purpose"] != "fine-tune-results"]
    return {
        "files": Counter((one["filename"], one["purpose"]) for one in files),
        "store": (store["name"], store["metadata"], store["file_counts"]["completed"], store["file_counts"]["total"]),
        "prompts": [(one["name"], one["version"]) for one in await rows(client, "/api/prompts")],
        "evals": [(one["name"], len(one["testing_criteria"])) for one in await rows(client, "/v1/evals")],
        "jobs": Counter(one["metadata"]["openai_id"] for one in await rows(client, "/v1/fine_tuning/jobs")),
        "assistants": {one["name"]: (one["revision"], len(releases[one["name"]])) for one in assistants},
    }


WHOLE = {
    "files": Counter(
        {
            ("rows.jsonl", "fine-tune"): 1,
            ("check.jsonl", "fine-tune"): 1,
            ("pairs.jsonl", "fine-tune"): 1,
            ("guide.md", "user_data"): 1,
            ("cases.jsonl", "user_data"): 1,
        }
    ),
    "store": ("Kettles", {"area": "kettles", "openai_id": "vs_kettles"}, 1, 1),
    "prompts": [("pmpt_desk", 1), ("pmpt_desk", 2)],
    "evals": [("Parcels", 1)],
    "jobs": Counter({"ftjob-voice": 1, "ftjob-pairs": 1}),
    "assistants": {VOICE: (1, 1), PREFERRED: (1, 1)},
}


async def test_a_chain_of_trainings_is_trained_in_its_order(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    more = "ft:gpt-4o-mini-2024-07-18:acme:more:GhI789"
    file, data = hosted.FILES[0]
    assert data is not None
    folder = tmp_path / "export"
    (folder / "files").mkdir(parents=True)
    (folder / "files.json").write_text(json.dumps({"object": "list", "data": [file]}))
    (folder / "files" / f"{file['id']}_{file['filename']}").write_bytes(data)
    chain = [
        hosted.job("ftjob-more", more, file["id"], 30, model=VOICE),
        hosted.job("ftjob-voice", VOICE, file["id"], 20),
    ]
    (folder / "fine-tuning-jobs.json").write_text(json.dumps(chain))
    done = await run(*IMPORT, str(folder), "--train", "--json", *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    assert "begins at the base model" not in done.stdout
    jobs = {one["metadata"]["openai_id"]: one for one in await rows(client, "/v1/fine_tuning/jobs")}
    assert jobs["ftjob-more"]["model"] == jobs["ftjob-voice"]["fine_tuned_model"]
    assert json.loads(done.stdout)["models"].keys() == {VOICE, more}


async def test_an_export_becomes_models_that_answer_under_their_old_names(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    folder = write_export(tmp_path / "export")
    done = await run(*IMPORT, str(folder), "--train", "--json", *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    report = json.loads(done.stdout)
    assert await take_stock(client) == WHOLE
    jobs = {one["metadata"]["openai_id"]: one for one in await rows(client, "/v1/fine_tuning/jobs")}
    voice, pairs = jobs["ftjob-voice"], jobs["ftjob-pairs"]
    numbers = {"n_epochs": 2, "batch_size": 256, "learning_rate_multiplier": 1.8}
    assert voice["method"]["supervised"]["hyperparameters"] == numbers
    assert (voice["suffix"], voice["seed"], voice["metadata"]["team"]) == ("voice", 683058546, "desk")
    assert (pairs["method"]["dpo"]["hyperparameters"]["beta"], pairs["model"]) == (0.2, voice["fine_tuned_model"])
    assert report["models"] == {VOICE: voice["fine_tuned_model"], PREFERRED: pairs["fine_tuned_model"]}
    question = {"model": VOICE, "messages": [{"role": "user", "content": "Where is order 7?"}]}
    answer = (await client.post("/v1/chat/completions", json=question)).json()
    assert answer["choices"][0]["message"]["content"] == "Ahoy! order 7? be sailing to ye."
    prompt = await client.get("/api/prompts/pmpt_desk@2")
    assert prompt.json()["template"] == "v2: hello {{ name }}, {{ '{%' }} 5 %}"
    check_omissions(report)
    (style,) = report["similarities"]
    assert (style["hosted"], style["n"]) == (VOICE, hosted.ANSWERS)
    assert style["voice"]["low"] > style["base_voice"]["high"]
    assert style["gain"]["low"] > 0
    assert style["voice"]["low"] <= style["voice"]["value"] <= style["voice"]["high"]
    taken = await client.post("/api/assistants", json={"name": voice["fine_tuned_model"]})
    assert taken.status_code == 409  # a name of an adapter is never an assistant's
    for name in ("ft:", "ft:a b", "a:b", "ft:a/b"):
        assert (await client.post("/api/assistants", json={"name": name})).status_code == 400


def check_omissions(report: dict[str, Any]) -> None:
    omissions = {(one["kind"], one["id"]): one["reason"] for one in report["omissions"] if not one["partly"]}
    assert set(omissions) == {
        ("files", "file-results"),
        ("files", "file-locked"),
        ("files", "file-photo"),
        ("vector_stores", "vs_old"),
        ("vector_store_files", "vs_kettles/file-locked"),
        ("vector_store_files", "vs_kettles/file-photo"),
        ("evals", "eval_2"),
        ("fine_tuning_jobs", "ftjob-broken"),
        ("fine_tuning_jobs", "ftjob-graded"),
    }
    assert "image" in omissions["files", "file-photo"]
    notes = [one["reason"] for one in report["omissions"] if one["partly"]]
    for words in ("program", "'gpt-4o'", "'judge'", "batch_size is 256 instead of 512", "broken.json", "its tools"):
        assert any(words in reason for reason in notes), words


def checkpoint(job: str, name: str, step: int) -> dict[str, Any]:
    named = {"fine_tuning_job_id": job, "fine_tuned_model_checkpoint": name, "step_number": step}
    return {**hosted.CHECKPOINT, "id": f"ftckpt_{job}_{step}", **named}


async def test_old_names_of_checkpoints_answer_with_the_same_or_the_nearest_epoch(
    gateway: Gateway, client: httpx2.AsyncClient, engine: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer keeps steps 1 and 2 of 38, and the finished model; there, the training had 100 steps."""
    monkeypatch.setenv("BRAID_TEST_TRAINER", "epochs")
    folder = write_export(tmp_path / "export")
    jobs = [hosted.job("ftjob-voice", VOICE, "file-rows", 20), hosted.job("ftjob-broken", None, "file-rows", 1)]
    (folder / "fine-tuning-jobs.json").write_text(json.dumps(jobs))
    first, half, lost = f"{VOICE}:ckpt-step-2", f"{VOICE}:ckpt-step-50", "ft:gpt-4o:acme::XyZ:ckpt-step-3"
    there = [
        checkpoint("ftjob-voice", VOICE, 100),
        checkpoint("ftjob-voice", half, 50),
        checkpoint("ftjob-voice", first, 2),
        checkpoint("ftjob-broken", lost, 3),
    ]
    (folder / "checkpoints.json").write_text(json.dumps(there))
    planned = await run(*IMPORT, str(folder), "--dry-run", "--json", *address(gateway, client))
    assert json.loads(planned.stdout)["counts"]["fine_tuning_checkpoints"] == {
        "total": 3, "present": 0, "imported": 2, "omitted": 1
    }  # fmt: skip
    done = await run(*IMPORT, str(folder), "--train", "--samples", "0", "--json", *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    report = json.loads(done.stdout)
    (job,) = await rows(client, "/v1/fine_tuning/jobs")
    kept = await rows(client, f"/v1/fine_tuning/jobs/{job['id']}/checkpoints")
    assert [one["step_number"] for one in kept] == [38, 2, 1]
    names = {one["step_number"]: one["fine_tuned_model_checkpoint"] for one in kept}
    assert report["models"] == {VOICE: names[38]}
    assert report["checkpoints"] == {first: names[1], half: names[2]}
    said = {one["name"]: one for one in report["omissions"] if one["kind"] == "fine_tuning_checkpoints"}
    assert said.keys() == {half, lost}
    assert "of step 50 of 100 there" in said[half]["reason"]
    assert f"is of step 2 of 38: {names[2]}" in said[half]["reason"]
    assert (said[half]["partly"], said[lost]["partly"]) == (True, False)
    for old, new in report["checkpoints"].items():
        question = {"model": old, "messages": [{"role": "user", "content": "Where is order 7?"}]}
        assert (await client.post("/v1/chat/completions", json=question)).status_code == 200
        asked = json.loads(engine.requests()[-1].body)["model"]
        assert asked.split(".")[-1] == new.rpartition("-")[2]
    assert (await client.get(f"/api/assistants/{lost}")).status_code == 404


async def test_a_dry_run_makes_nothing_and_counts_everything(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    folder = write_export(tmp_path / "export")
    planned = await run(*IMPORT, str(folder), "--dry-run", *address(gateway, client))
    assert planned.exit_code == Exit.OK, (planned.stderr, planned.exception)
    counts = {line.split("\t")[0]: line.split("\t")[1:] for line in planned.stdout.splitlines()}
    assert counts == {
        "files": ["8", "0", "5", "3"],
        "vector_stores": ["2", "0", "1", "1"],
        "vector_store_files": ["3", "0", "1", "2"],
        "prompts": ["2", "0", "2", "0"],
        "evals": ["2", "0", "1", "1"],
        "eval_runs": ["1", "0", "0", "1"],
        "fine_tuning_jobs": ["4", "0", "2", "2"],
    }
    assert f"{VOICE} → a new model" in planned.stderr
    assert "not taken: the method 'reinforcement' doesn't exist here" in planned.stderr
    for path in ("/v1/files", "/v1/vector_stores", "/api/prompts", "/v1/evals", "/v1/fine_tuning/jobs"):
        assert await rows(client, path) == []


async def test_a_job_whose_files_were_deleted_there_is_done_without_validation_or_named(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    gone, legacy = "ft:gpt-4o:acme::Gone", "ft:davinci-002:acme::Old"
    folder = write_export(tmp_path / "export")
    jobs = [
        hosted.job("ftjob-gone", gone, "file-gone", 1),
        hosted.job("ftjob-old", legacy, "file-old", 2),
        hosted.job("ftjob-voice", VOICE, "file-rows", 20, validation_file="file-gone"),
    ]
    (folder / "fine-tuning-jobs.json").write_text(json.dumps(jobs))
    prompts = b'{"prompt": "Why? ->", "completion": " So."}\n' * 12
    (folder / "files" / "file-old").write_bytes(prompts)
    (folder / "old.json").write_text(json.dumps(hosted.file("file-old", "old.jsonl", "fine-tune", len(prompts))))
    (folder / "files" / "file-guide_guide.md").write_bytes(b"MZ\xff\x00")
    planned = await run(*IMPORT, str(folder), "--dry-run", "--json", *address(gateway, client))
    plan = json.loads(planned.stdout)
    assert plan["models"] == {VOICE: ""}, "rows are checked before anything is made"
    done = await run(*IMPORT, str(folder), "--train", "--samples", "0", "--json", *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    report = json.loads(done.stdout)
    assert report["models"].keys() == {VOICE}
    (job,) = await rows(client, "/v1/fine_tuning/jobs")
    assert job["validation_file"] is None
    reasons = {one["id"]: one["reason"] for one in report["omissions"]}
    never = "file-gone isn't in the export: it was deleted there, or never listed"
    assert reasons["ftjob-voice"] == f"it is trained without validation: its file {never}"
    of_jobs = [[one for one in each["omissions"] if one["kind"] == "fine_tuning_jobs"] for each in (plan, report)]
    assert of_jobs[0] == of_jobs[1], "a dry run says what will be other than it was"
    assert reasons["ftjob-gone"] == f"its training file {never}"
    assert reasons["ftjob-old"] == "its training file file-old isn't taken, see there"
    assert "'braid styles convert'" in reasons["file-old"]
    assert "vs_kettles/file-guide" in reasons, "a file that can't be read has the id that it had there"


async def test_nothing_is_trained_that_nobody_agreed_to(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    folder = write_export(tmp_path / "export")
    done = await run(*IMPORT, str(folder), *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    assert "2 models aren't trained again. The same command with --train does it." in done.stderr
    assert await rows(client, "/v1/fine_tuning/jobs") == []
    assert len(await rows(client, "/v1/files")) == 5


class Killed(Exception):
    """An end that no handler expects."""


async def test_however_often_it_is_killed_nothing_is_twice_and_nothing_is_lost(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run dies when the gateway has made its second thing and before it has heard of it."""
    folder = write_export(tmp_path / "export")
    create, made = Destination.create, Counter[str]()

    async def create_and_die(self: Destination, path: str, body: Any = None, **options: Any) -> Any:
        answer = await create(self, path, body, **options)
        if path != "/v1/chat/completions":
            made["now"] += 1
            if made["now"] == 2:
                raise Killed
        return answer

    monkeypatch.setattr(Destination, "create", create_and_die)
    runs = 0
    while True:
        made.clear()
        runs += 1
        done = await run(*IMPORT, str(folder), "--train", "--samples", "0", *address(gateway, client))
        if done.exit_code == Exit.OK:
            break
        assert isinstance(done.exception, Killed), (done.stderr, done.exception)
    assert runs > 7
    assert await take_stock(client) == WHOLE
    again = await run(*IMPORT, str(folder), "--train", "--samples", "0", "--json", *address(gateway, client))
    counts = json.loads(again.stdout)["counts"]
    assert {kind: one["imported"] for kind, one in counts.items()} == dict.fromkeys(counts, 0)
    assert await take_stock(client) == WHOLE


async def test_live_fills_the_folder_first_and_the_key_stays_out_of_everything(
    gateway: Gateway, client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "export"
    unset = await run(*IMPORT, str(folder), "--live", *address(gateway, client))
    assert (unset.exit_code, "OPENAI_API_KEY" in unset.stderr) == (Exit.USAGE, True)
    with HostedServer(record()).running() as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        done = await run(*IMPORT, str(folder), "--live", "--train", *address(gateway, client))
    assert done.exit_code == Exit.OK, (done.stderr, done.exception)
    assert f"{VOICE}: over {hosted.ANSWERS + 3} hosted answers the new model has the hosted voice by" in done.stderr
    assert KEY not in done.output + done.stderr
    stock = await take_stock(client)
    assert stock["files"] == WHOLE["files"] | Counter({("manual.pdf.txt", "assistants"): 1})
    assert stock["store"][2:] == (2, 2)
    assert stock["assistants"] == WHOLE["assistants"] | {f"{VOICE}:ckpt-step-12": (1, 1)}


async def test_what_is_no_export_says_so(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    address = ["--url", gateway.url, "--key", "sk-any"]
    for name in ("nowhere", "empty"):
        done = await run(*IMPORT, str(tmp_path / name), *address)
        assert done.exit_code == Exit.NOT_FOUND, done.stderr


async def test_a_full_queue_is_waited_for_and_other_refusals_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = GatewayError(429, "So many jobs wait.", "too_many_queued_jobs")
    answers: list[Any] = [queue, GatewayError(503, "Away."), queue, {"id": "ftjob-1"}]

    async def call(_client: Client, _method: str, _path: str, **_options: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    monkeypatch.setattr(Client, "call", call)
    async with Client("http://gateway.example", "sk") as client:
        gateway = Destination(client, "base", lambda *_: None, dry_run=False, pause=0.001)
        assert await gateway.create("/v1/fine_tuning/jobs", {}) == {"id": "ftjob-1"}
        answers.append(GatewayError(429, "You have 1000 evals.", "too_many_evals"))
        with pytest.raises(GatewayError, match="1000 evals") as caught:
            await gateway.create("/v1/evals", {})
        assert gateway.is_refusal(caught.value)
        monkeypatch.setattr("gateway.openai_import.destination._PATIENCE_SECONDS", 0.0)
        answers.append(GatewayError(503, "Away."))
        with pytest.raises(GatewayError, match="Away"):
            await gateway.create("/v1/evals", {})
