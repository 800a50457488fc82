"""The contract of every job handler: however often it is killed and run again, the end is that of one undisturbed run.

Here a death is an exception that no handler catches, so that a test takes milliseconds. The same steps are walked with
worker processes that are really killed in `fine_tuning/test_crashes.py`, `adapters/test_import.py` and
`vector_stores/test_killed.py`.
"""

import io
import os
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from gateway.composition import open_handlers
from gateway.jobs import Claim, Handler, JobRow, Outcome
from gateway.jobs import failpoints as failpoint_module
from gateway.jobs.claim import claim_next
from gateway.jobs.repository import change
from gateway.settings import Settings
from gateway.vector_stores.index_migration_watch import IndexMigrationWatch
from tests.fakes.peft import write_adapter
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, adapters, events, retrieve, settings, start, upload
from tests.waiting import until

__all__ = ["settings"]


class Death(BaseException):
    """What `kill -9` is to a process."""


class Steps:
    """Stands in for the environment of `failpoint`: takes down the steps that are passed, and kills at one of them."""

    def __init__(self, fatal: str = "") -> None:
        self.passed: list[str] = []
        self._fatal = fatal

    def get(self, _name: str) -> "Steps":
        return self

    def __eq__(self, step: object) -> bool:
        self.passed.append(str(step))
        return step == self._fatal

    __hash__ = None  # type: ignore[assignment]

    def die(self, *_arguments: int) -> None:
        raise Death


@contextmanager
def killing_at(monkeypatch: pytest.MonkeyPatch, step: str = "") -> Iterator[Steps]:
    steps = Steps(step)
    with monkeypatch.context() as patched:
        patched.setattr(failpoint_module, "os", SimpleNamespace(environ=steps, kill=steps.die, getpid=os.getpid))
        yield steps


class Scene:
    """Something to do for one kind of job; each `queue` asks for it anew, and `state` is what stands there."""

    def __init__(self, gateway: Gateway, client: httpx2.AsyncClient, index: FakeRetriever, folder: Path) -> None:
        self.gateway = gateway
        self.client = client
        self.index = index
        self.folder = folder
        self.id = ""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        raise NotImplementedError

    async def state(self) -> Any:
        raise NotImplementedError

    async def reset(self) -> None:
        """Make room for the next time."""

    async def run(self, handlers: Mapping[str, Handler], kind: str) -> Claim:
        """Run the oldest job of a kind to its end, and end it."""
        claim = await self.claim(kind)
        await self.finish(handlers, claim)
        return claim

    async def finish(self, handlers: Mapping[str, Handler], claim: Claim) -> None:
        await handlers[claim.kind].run(claim)
        async with claim.end("succeeded", None):
            pass

    async def claim(self, kind: str) -> Claim:
        claim = await self.next(kind)
        assert claim is not None, f"no job of the kind {kind} is there"
        return claim

    async def next(self, kind: str) -> Claim | None:
        return await claim_next(self.gateway.state.database, kinds=[kind], worker="w", lease_seconds=60)

    async def expire(self, claim: Claim) -> None:
        """Let the time go by after which another worker takes the job over."""
        async with self.gateway.state.database.begin() as session:
            assert await change(session, JobRow.id == claim.id, lease_until=0.0)

    def leftovers(self) -> list[str]:
        """Files that no job should leave behind."""
        home, artifacts = self.gateway.state.settings.home, self.gateway.state.artifacts.root
        folders = (home / "work", artifacts / "incoming")
        return [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]


class Training(Scene):
    store = ""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        if not self.store:
            self.store = (await self.client.post("/v1/vector_stores", json={})).json()["id"]
            path = f"/api/vector_stores/{self.store}/documents/orders.md"
            await self.client.put(path, content="Where order 7 is: at sea.")
            await self.run(handlers, "ingest")
        evidence = {"vector_stores": [self.store]}
        self.id = (await start(self.client, suffix="voice", braid={"evidence": evidence}))["id"]

    async def state(self) -> Any:
        job = await retrieve(self.client, self.id)
        checkpoints = (await self.client.get(f"{JOBS}/{self.id}/checkpoints")).json()["data"]
        told = ("The job", "New", "Checkpoint", "Fine-tuning", "Created", "Files")
        messages = [event["message"] for event in await events(self.client, self.id)]
        return {
            "job": [job[name] for name in ("status", "fine_tuned_model", "trained_tokens")],
            "error": job["error"] and job["error"]["code"],
            "results": len(job["result_files"]),
            "checkpoints": [(one["step_number"], one["metrics"]) for one in checkpoints],
            "events": [message.replace(self.id, "") for message in messages if message.startswith(told)],
            "adapters": [(row["status"], row["model"], row["digest"]) for row in await adapters(self.client)],
            "leftovers": self.leftovers(),
        }

    async def reset(self) -> None:
        for row in await adapters(self.client):
            await self.client.delete(f"/v1/models/{row['model']}")


class Import(Scene):
    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        write_adapter(self.folder / "peft", base_name="base")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file in (self.folder / "peft").iterdir():
                archive.write(file, file.name)
        file_id = await upload(self.client, packed.getvalue(), name="voice.zip", purpose="user_data")
        answer = await self.client.post("/api/adapters", json={"name": "voice", "file_id": file_id})
        self.id = answer.json()["id"]

    async def state(self) -> Any:
        row = (await self.client.get(f"/api/adapters/{self.id}")).json()
        return [row[name] for name in ("status", "reason", "model", "digest", "rank")], self.leftovers()

    async def reset(self) -> None:
        row = (await self.client.get(f"/api/adapters/{self.id}")).json()
        await self.client.delete(f"/v1/models/{row['model']}")


class Ingest(Scene):
    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        self.id = (await self.client.post("/v1/vector_stores", json={})).json()["id"]
        await self.put("The old text.")
        await self.run(handlers, "ingest")
        await self.put("The new text.\n\nIn two parts.")

    async def put(self, text: str) -> None:
        answer = await self.client.put(f"/api/vector_stores/{self.id}/documents/a.md", content=text)
        assert answer.status_code == 200, answer.text

    def points(self) -> list[tuple[str, int, int]]:
        mine = [point for point in self.index.points if point.request.store == self.id]
        return sorted((point.text, point.first, point.end) for point in mine)

    async def state(self) -> Any:
        document = (await self.client.get(f"/api/vector_stores/{self.id}/documents/a.md")).json()
        error = document.get("error") and document["error"]["code"]
        return [*(document.get(name) for name in ("status", "version", "live_version")), error], self.points()


class Reindex(Ingest):
    losses = 0

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await super().queue(handlers)
        await self.run(handlers, "ingest")
        self.losses += 1
        self.index.lose(f"fake/words/lost-{self.losses}")
        answer = await self.client.post(f"/api/vector_stores/{self.id}/index")
        assert answer.status_code == 200, answer.text


class Mirror(Ingest):
    """A store that has to be brought into a second index, which the first job after a cancelled move empties."""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await super().queue(handlers)
        await self.run(handlers, "ingest")
        watch = IndexMigrationWatch(self.gateway.state.database, self.gateway.state.retriever)
        for move in (await self.gateway.admin.get("/api/index_migrations")).json()["data"][:1]:
            await self.gateway.admin.post(f"/api/index_migrations/{move['id']}/cancel")
            while await watch.step() and (claim := await self.next("mirror")) is not None:
                await self.finish(handlers, claim)
        answer = await self.gateway.admin.post("/api/index_migrations", json={"embedder": "another"})
        assert answer.status_code == 201, answer.text
        await watch.step()  # which names the target
        await watch.step()
        while (claim := await self.next("mirror")) is not None and claim.subject != self.id:
            await self.finish(handlers, claim)
        assert claim is not None
        await claim.release()

    async def state(self) -> Any:
        (move, *_) = (await self.gateway.admin.get("/api/index_migrations")).json()["data"]
        return await super().state(), move["ready"], move["missing"], move["failed"]


class Removal(Ingest):
    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await super().queue(handlers)
        await self.run(handlers, "ingest")
        answer = await self.client.delete(f"/api/vector_stores/{self.id}/documents/a.md")
        assert answer.status_code == 200, answer.text


class Drop(Ingest):
    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await super().queue(handlers)
        await self.run(handlers, "ingest")
        assert (await self.client.delete(f"/v1/vector_stores/{self.id}")).status_code == 200


class Sync(Scene):
    """A folder of which one file was changed, one deleted, and one is new."""

    number = 0

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        self.number, self.handlers = self.number + 1, handlers
        folder = self.folder / "lent" / str(self.number)
        folder.mkdir(parents=True)
        for name in ("a.md", "b.md", "c.md"):
            (folder / name).write_text(f"The old {name}.")
        self.store = (await self.client.post("/v1/vector_stores", json={})).json()["id"]
        origin = {"kind": "folder", "path": str(folder)}
        more = {"name": f"docs{self.number}", "vector_store_id": self.store, "prefix": "docs/"}
        self.id = (await self.client.post("/api/sources", json={"origin": origin, **more})).json()["id"]
        await self.run(handlers, "sync")
        for _ in range(3):
            await self.run(handlers, "ingest")
        (folder / "a.md").write_text("The new a.md.")
        (folder / "b.md").unlink()
        (folder / "d.md").write_text("Another one.")
        assert (await self.client.post(f"/api/sources/{self.id}/sync")).status_code == 200

    async def reset(self) -> None:
        for _ in range(2):
            await self.run(handlers=self.handlers, kind="ingest")

    async def state(self) -> Any:
        source = (await self.client.get(f"/api/sources/{self.id}")).json()
        documents = (await self.client.get(f"/api/vector_stores/{self.store}/documents")).json()["data"]
        items = (await self.client.get(f"/api/sources/{self.id}/items")).json()["data"]
        return {
            "source": [source[name] for name in ("status", "items", "failed", "error")],
            "documents": sorted((row["key"], row["version"], row["status"]) for row in documents),
            "items": sorted((row["key"], row["digest"], row["failures"]) for row in items),
        }


class Collection(Scene):
    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        self.id = await upload(self.client, b"some text", name="a.txt", purpose="assistants")
        (path,) = self.paths()
        await self.client.delete(f"/v1/files/{self.id}")
        long_ago = time.time() - 7200
        os.utime(path, (long_ago, long_ago))
        async with self.gateway.state.database.begin() as session:
            await change(session, JobRow.kind == "collect_garbage", JobRow.status == "queued", not_before=None)

    def paths(self) -> list[Path]:
        return list((self.gateway.state.artifacts.root / "files").iterdir())

    async def state(self) -> Any:
        return [path.name for path in self.paths()]


class Evaluation(Ingest):
    evaluation = ""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        self.id = (await self.client.post("/v1/vector_stores", json={})).json()["id"]
        await self.put("The old text.")
        await self.run(handlers, "ingest")
        questions = [{"question": "old text", "documents": ["a.md"]}]
        request = {"kind": "retrieval", "vector_store_id": self.id, "questions": questions}
        answer = await self.client.post("/api/evaluations", json=request)
        assert answer.status_code == 200, answer.text
        self.evaluation = answer.json()["id"]

    async def state(self) -> Any:
        row = (await self.client.get(f"/api/evaluations/{self.evaluation}")).json()
        report = await self.client.get(f"/api/evaluations/{self.evaluation}/report")
        results = report.json()["configurations"][0]["results"] if report.status_code == 200 else None
        return row["status"], row["done"], results and results[0]["metrics"], row["error"], self.leftovers()


class Advice(Scene):
    """Forty conversations, of which half is asked in every way."""

    evaluation = ""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await until(lambda: any(replica.ready for replica in self.gateway.state.pool.replicas))
        self.id = self.id or await upload(self.client, rows(40), purpose="user_data")
        answer = await self.client.post("/api/evaluations", json={"kind": "advice", "file_id": self.id, "rows": 10})
        assert answer.status_code == 200, answer.text
        self.evaluation = answer.json()["id"]

    async def state(self) -> Any:
        row = (await self.client.get(f"/api/evaluations/{self.evaluation}")).json()
        report = await self.client.get(f"/api/evaluations/{self.evaluation}/report")
        arms = [one["style"] for one in report.json()["arms"]] if report.status_code == 200 else None
        return row["status"], row["done"] == row["total"], arms, row["error"], self.leftovers()


class EvalRun(Scene):
    """Three rows that a model is asked, and graded by two criteria."""

    eval = ""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await until(lambda: any(replica.ready for replica in self.gateway.state.pool.replicas))
        check = {"type": "string_check", "input": "{{ sample.output_text }}", "operation": "like"}
        criteria = [{**check, "name": name, "reference": f"{{{{ item.{name} }}}}"} for name in ("first", "second")]
        config = {"type": "custom", "item_schema": {"type": "object"}}
        made = await self.client.post("/v1/evals", json={"data_source_config": config, "testing_criteria": criteria})
        assert made.status_code == 201, made.text
        self.eval = made.json()["id"]
        rows = [{"item": {"first": word, "second": "engine"}} for word in ("heard", "lost", "The")]
        template = [{"role": "user", "content": "{{ item.first }}"}]
        source = {"type": "completions", "model": "base", "source": {"type": "file_content", "content": rows}}
        source["input_messages"] = {"type": "template", "template": template}
        run = await self.client.post(f"/v1/evals/{self.eval}/runs", json={"data_source": source})
        assert run.status_code == 201, run.text
        self.id = run.json()["id"]

    async def state(self) -> Any:
        path = f"/v1/evals/{self.eval}/runs/{self.id}"
        run = (await self.client.get(path)).json()
        items = (await self.client.get(f"{path}/output_items")).json()["data"]
        outcomes = sorted((item["datasource_item_id"], item["status"], str(item["results"])) for item in items)
        names = ("status", "result_counts", "per_model_usage", "per_testing_criteria_results", "error")
        return [*(run[name] for name in names), outcomes, self.leftovers()]


class Comparison(Scene):
    """Ten prompts that two models answer."""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await until(lambda: any(replica.ready for replica in self.gateway.state.pool.replicas))
        prompts = [{"messages": [{"role": "user", "content": str(number)}]} for number in range(10)]
        body = {"models": ["base", "base"], "prompts": prompts, "seed": 1}
        made = await self.client.post("/api/comparisons", json=body)
        assert made.status_code == 202, made.text
        self.id = made.json()["id"]

    async def state(self) -> Any:
        path = f"/api/comparisons/{self.id}"
        row = (await self.client.get(path)).json()
        items = (await self.client.get(f"{path}/items")).json()["data"]
        texts = sorted((item["number"], str(item["replies"])) for item in items)
        return row["status"], row["answered"], row["errored"], row["error"], texts, self.leftovers()


class Gate(Scene):
    url = "/api/assistants/desk/releases/1/gate"

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await until(lambda: any(replica.ready for replica in self.gateway.state.pool.replicas))
        if not self.id:
            await self.client.post("/api/assistants", json={"name": "desk"})
            await self.client.post("/api/assistants/desk/releases", json={})
            self.id = await upload(self.client, rows(12))
        answer = await self.client.post(self.url, json={"file_id": self.id})
        assert answer.status_code == 202, answer.text

    async def state(self) -> Any:
        row = (await self.client.get(self.url)).json()
        release = (await self.client.get("/api/assistants/desk/releases")).json()["data"][0]
        verdict = release["gate"] and release["gate"]["failed"]
        report = row["report"] and (row["report"]["rows"], row["report"]["checks"])
        return row["status"], verdict, report, row["error"], row["done"] == row["total"], self.leftovers()


class Diagnosis(Scene):
    """A failure and an answer that passed, of a release with a prompt."""

    async def queue(self, handlers: Mapping[str, Handler]) -> None:
        await until(lambda: any(replica.ready for replica in self.gateway.state.pool.replicas))
        if not self.id:
            await self.client.post(
                "/api/prompts", json={"name": "house", "template": "{% block system %}Bad{% endblock %}"}
            )
            await self.client.post("/api/assistants", json={"name": "desk"})
            await self.client.post("/api/assistants/desk/releases", json={"prompt": "house"})
        cases = [
            {"question": f"Say heard {number}?", "expected": [word]} for number, word in enumerate(["lost", "heard"])
        ]
        body = {"model": "desk@1", "failures": cases[:1], "passes": cases[1:]}
        answer = await self.client.post("/api/diagnoses", json=body)
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["id"]

    async def state(self) -> Any:
        path = f"/api/diagnoses/{self.id}"
        row = (await self.client.get(path)).json()
        report = await self.client.get(f"{path}/report")
        cases = report.json()["cases"] if report.status_code == 200 else None
        releases = (await self.client.get("/api/assistants/desk/releases")).json()["data"]
        shown = [row[name] for name in ("status", "done", "strands", "releases", "error")]
        return [*shown, cases, len(releases), self.leftovers()]


PUBLISHED = ("adapter-made", "adapter-judged", "adapter-stored", "adapter-named", "adapter-verified")
SCENES: dict[str, tuple[type[Scene], tuple[str, ...]]] = {
    "train": (
        Training,
        (
            *("rows-prepared", "rows-kept", "facts-recorded"),
            *("trainer-started", "trainer-event", "state-stored", "state-kept", *PUBLISHED),
        ),
    ),
    "import": (Import, ("reference-made", *PUBLISHED)),
    "ingest": (
        Ingest,
        ("ingest-found", "ingest-rolled-back", "ingest-written", "ingest-published", "ingest-collected"),
    ),
    "reindex": (
        Reindex,
        tuple(f"reindex-{step}" for step in ("dropped", "found", "rolled-back", "written", "published", "collected")),
    ),
    "mirror": (
        Mirror,
        tuple(f"mirror-{step}" for step in ("emptied", "settled", "rolled-back", "written", "published")),
    ),
    "remove": (Removal, ("remove-points", "remove-rows")),
    "drop": (Drop, ("drop-points", "drop-rows")),
    "sync": (Sync, tuple(f"sync-{step}" for step in ("listed", "read", "put", "deleted"))),
    "collect_garbage": (Collection, ()),
    "evaluate": (Evaluation, ("evaluation-stored",)),
    "advise": (Advice, ("evaluation-stored",)),
    "eval_run": (EvalRun, ("eval-items-written",)),
    "comparison": (Comparison, ("comparison-items-written",)),
    "gate": (Gate, ("gate-measured", "gate-stored")),
    "diagnose": (Diagnosis, ("diagnosis-replayed", "diagnosis-stored")),
}
"""By kind of job: something to do, and every step at which its handler can be killed."""
# The attempts of these count anew when they get further than the run before, which is a matter of moments.
AFRESH = ("train", "reindex", "mirror")
# How `failed` shows, where it does.
FAILED: dict[str, Callable[[Any], bool]] = {
    "train": lambda state: (state["job"][0], state["error"]) == ("failed", "odd"),
    "import": lambda state: state[0][:2] == ["refused", "It broke."],
    "ingest": lambda state: state[0][0] == "failed",
    "evaluate": lambda state: (state[0], state[3]) == ("failed", {"code": "odd", "message": "It broke."}),
    "advise": lambda state: (state[0], state[3]) == ("failed", {"code": "odd", "message": "It broke."}),
    "eval_run": lambda state: (state[0], state[4]) == ("failed", {"code": "odd", "message": "It broke."}),
    "diagnose": lambda state: (state[0], state[4]) == ("failed", {"code": "odd", "message": "It broke."}),
    "comparison": lambda state: (state[0], state[3]) == ("failed", {"code": "odd", "message": "It broke."}),
    "gate": lambda state: (state[0], state[3]) == ("failed", {"code": "odd", "message": "It broke."}),
    "sync": lambda state: (state["source"][0], state["source"][3]["code"]) == ("failed", "odd"),
}


@pytest.fixture
async def index(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.retriever_socket) as fake:
        yield fake


@pytest.fixture(autouse=True)
async def second_index(settings: Settings) -> AsyncIterator[FakeRetriever]:
    async with FakeRetriever(settings.second_retriever_socket) as fake:
        fake.index = "other/words/2"
        yield fake


@pytest.fixture
async def handlers(gateway: Gateway, settings: Settings, index: FakeRetriever) -> AsyncIterator[Mapping[str, Handler]]:
    async with open_handlers(settings, gateway.state.database) as opened:
        yield opened


@pytest.fixture(params=list(SCENES))
async def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def scene(kind: str, gateway: Gateway, index: FakeRetriever, tmp_path: Path) -> Scene:
    return SCENES[kind][0](gateway, await gateway.tenant("kestrel"), index, tmp_path)


def test_every_kind_of_job_is_here(handlers: Mapping[str, Handler]) -> None:
    assert set(handlers) == set(SCENES)


async def test_killed_at_each_step_and_run_again_the_end_is_the_same(
    kind: str,
    scene: Scene,
    handlers: Mapping[str, Handler],
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    await scene.queue(handlers)
    with killing_at(monkeypatch) as steps:
        await scene.run(handlers, kind)
    assert set(steps.passed) == set(SCENES[kind][1])
    undisturbed = await scene.state()
    for step in dict.fromkeys(steps.passed):
        with subtests.test(step=step):
            await scene.reset()
            await scene.queue(handlers)
            claim = await scene.claim(kind)
            with killing_at(monkeypatch, step), pytest.raises(Death):
                await handlers[kind].run(claim)
            await scene.expire(claim)
            again = await scene.run(handlers, kind)
            assert again.id == claim.id
            assert again.attempts in ((1, 2) if kind in AFRESH else (2,))
            assert await scene.state() == undisturbed


async def test_a_run_that_is_repeated_after_its_end_changes_nothing(
    kind: str, scene: Scene, handlers: Mapping[str, Handler]
) -> None:
    await scene.queue(handlers)
    claim = await scene.claim(kind)
    await handlers[kind].run(claim)
    once = await scene.state()
    await scene.expire(claim)
    await scene.run(handlers, kind)
    assert await scene.state() == once


async def test_an_end_that_is_written_again_after_a_crash_is_written_whole(
    kind: str, scene: Scene, handlers: Mapping[str, Handler]
) -> None:
    await scene.queue(handlers)
    claim, outcome = await scene.claim(kind), Outcome("failed", "odd", "It broke.")
    before = await scene.state()

    async def end(*, crash: bool) -> None:
        async with claim.end("failed", {"code": "odd", "message": "It broke."}) as session:
            await handlers[kind].record_end(session, claim, outcome)
            if crash:
                raise Death

    with pytest.raises(Death):
        await end(crash=True)
    assert await scene.state() == before, "the end and what it writes are one commit"
    await end(crash=False)
    state = await scene.state()
    assert FAILED[kind](state) if kind in FAILED else state == before
