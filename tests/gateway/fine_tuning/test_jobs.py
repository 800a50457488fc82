"""Fine-tuning jobs over HTTP, as their owner sees them; nothing here runs one."""

import hashlib
import json
from typing import Any

import pytest

from gateway.files import FileRow
from gateway.fine_tuning.rows import render_rows
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import JOBS, ask, events, retrieve, start, upload


async def test_a_job_as_openai_shows_it(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, suffix="voice", metadata={"team": "support"})
    assert job["object"] == "fine_tuning.job"
    assert job["id"].startswith("ftjob-")
    assert job["status"] == "queued"
    assert job["model"] == "base"
    assert job["organization_id"] == "kestrel"
    assert job["seed"] == 1
    assert job["metadata"] == {"team": "support"}
    assert job["hyperparameters"] == {"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": "auto"}
    assert job["method"] == {"type": "supervised", "supervised": {"hyperparameters": job["hyperparameters"]}}
    for empty in ("fine_tuned_model", "finished_at", "estimated_finish", "trained_tokens", "error", "validation_file"):
        assert job[empty] is None
    assert job["result_files"] == job["integrations"] == []
    assert await retrieve(client, job["id"]) == job


async def test_a_new_job_has_told_what_it_was_made_of(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    log = await events(client, job["id"])
    created, validating, expected, recipe, validated = [event["message"] for event in log]
    assert created == f"Created fine-tuning job: {job['id']}"
    assert validating == f"Validating training file: {job['training_file']}"
    assert expected.startswith(f"Expected: {job['braid']['estimate']['summary']} (a guess: ")
    assert recipe.startswith(f"Recipe: steps {job['braid']['steps']}: ")
    assert validated == "Files validated, moving job to queued state"
    assert {event["object"] for event in log} == {"fine_tuning.job.event"}
    assert {(event["level"], event["type"]) for event in log} == {("info", "message")}


async def test_a_mixture_of_rows_is_told_with_its_shares(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    passage = {"title": "Orders", "text": "Order 3 is sailing."}
    mixed = [*rows(6, passages=[passage]).splitlines(), *rows(5, passages=[]).splitlines(), *rows(4).splitlines()]
    job = await start(client, b"\n".join(mixed))
    told = [event for event in await events(client, job["id"]) if "passages" in event["message"]]
    assert [(event["level"], event["data"]) for event in told] == [
        ("warn", {"grounded": 6, "empty": 5, "ungrounded": 4})
    ]
    assert "6 of 15 rows have passages" in told[0]["message"]
    alike = await start(client, rows(12, passages=[passage]))
    assert not [event for event in await events(client, alike["id"]) if "passages" in event["message"]]


async def test_earlier_replies_that_are_not_learnt_are_told(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    turns = [
        {"role": role, "content": text}
        for role, text in (("user", "One?"), ("assistant", "Aye."), ("user", "Two?"), ("assistant", "Nay."))
    ]
    row = json.dumps({"messages": turns, "braid": {"passages": [{"title": "", "text": "Two is nay."}]}}).encode()
    job = await start(client, b"\n".join([row] * 12))
    (told,) = [event for event in await events(client, job["id"]) if "not learnt" in event["message"]]
    assert told["data"] == {"context_replies": 12}


async def test_what_a_client_asks_for_is_kept_as_asked(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(96), hyperparameters={"n_epochs": 1, "batch_size": 1})
    assert job["hyperparameters"] == {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": "auto"}
    assert job["braid"]["steps"] is None
    auto = await start(client, rows(60), hyperparameters={"n_epochs": "auto"})
    assert (auto["hyperparameters"]["n_epochs"], auto["hyperparameters"]["batch_size"]) == (4, 2)
    assert auto["braid"]["steps"] == 96


async def test_a_seed_is_chosen_where_none_is_given(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    first, second = await start(client, seed=None), await start(client, seed=None)
    assert first["seed"] != second["seed"]


@pytest.mark.parametrize("count", [1, 9])
async def test_too_few_rows_are_refused_with_their_number(gateway: Gateway, count: int) -> None:
    client = await gateway.tenant("kestrel")
    answer = await ask(client, rows(count))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("too_few_rows", "training_file")
    assert f"has {count} row{'' if count == 1 else 's'}," in error["message"]


async def test_few_rows_train_with_a_warning(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client, rows(10))
    warnings = [event for event in await events(client, job["id"]) if event["level"] == "warn"]
    assert len(warnings) == 1
    assert "10 rows" in warnings[0]["message"]
    job = await start(client, rows(50))
    assert all(event["level"] == "info" for event in await events(client, job["id"]))


SUPERVISED = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 6}}}


HYPERPARAMETERS: list[tuple[dict[str, Any], tuple[int, int, float | str]]] = [
    ({"method": SUPERVISED}, (3, 6, "auto")),
    ({"hyperparameters": {"n_epochs": 4}}, (4, 2, "auto")),
    ({"hyperparameters": {"learning_rate_multiplier": 0.5, "n_epochs": "auto"}}, (4, 2, 0.5)),
    ({"hyperparameters": {"n_epochs": 4}, "method": SUPERVISED}, (3, 6, "auto")),
    ({"method": {"type": "supervised"}, "hyperparameters": {"batch_size": "auto"}}, (4, 2, "auto")),
]


async def test_hyperparameters_are_taken_from_the_method_first_and_chosen_where_none_are_given(
    gateway: Gateway, subtests: pytest.Subtests
) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    for fields, expected in HYPERPARAMETERS:
        with subtests.test(fields=fields):
            chosen = (await start(client, training_file=file, **fields))["hyperparameters"]
            assert tuple(chosen.values()) == expected
            assert list(chosen) == ["n_epochs", "batch_size", "learning_rate_multiplier"]


IMPOSSIBLE: list[tuple[dict[str, Any], int, str | None, str | None]] = [
    ({"model": "gpt-4o-mini"}, 400, "model", "can't be fine-tuned; 'base' can"),
    ({"model": "ft:base:kestrel:voice:12345678"}, 400, "model", "can't be fine-tuned; 'base' can"),
    ({"method": {"type": "dpo"}}, 400, "training_file", "Row 1: This is a supervised row"),
    ({"method": {"type": "dpo", "supervised": {}}}, 400, "method.supervised", "Give those of the one method"),
    ({"method": {"type": "supervised", "dpo": {}}}, 400, "method.dpo", "Give those of the one method"),
    ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}}, 400, None, None),
    ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.5}}}}, 400, None, None),
    ({"method": {"type": "reinforcement"}}, 400, "method.type", "is not supported"),
    ({"method": {"type": "magic"}}, 400, "method.type", None),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, 400, "integrations", "not supported"),
    ({"suffix": "s" * 65}, 400, "suffix", None),
    ({"suffix": ""}, 400, "suffix", None),
    ({"suffix": "a:b"}, 400, "suffix", "letters, digits"),
    ({"suffix": "../a"}, 400, "suffix", "letters, digits"),
    ({"seed": -1}, 400, "seed", None),
    ({"seed": 2**31}, 400, "seed", None),
    ({"seed": "1"}, 400, "seed", None),
    ({"training_file": "file-none"}, 404, "training_file", "No file"),
    ({"validation_file": "file-none"}, 404, "validation_file", "No file"),
    ({"metadata": {"k": 1}}, 400, "metadata.k", None),
    ({"metadata": {f"k{n}": "v" for n in range(17)}}, 400, "metadata", None),
    ({"metadata": {"k" * 65: "v"}}, 400, None, None),
    ({"braid": {"prompt": "none@1"}}, 404, "braid.prompt", "No prompt"),
    ({"braid": {"promt": "none@1"}}, 400, "braid.promt", None),
    ({"hyperparameters": {"n_epoch": 3}}, 400, "hyperparameters.n_epoch", None),
    ({"n_epochs": 3}, 400, "n_epochs", None),
    ({"validation_files": "file-none"}, 400, "validation_files", None),
    ({"method": {"type": "supervised", "hyperparameters": {"n_epochs": 3}}}, 400, "method.hyperparameters", None),
    ({"method": {"type": "supervised", "supervised": {"n_epochs": 3}}}, 400, "method.supervised.n_epochs", None),
    ({"method": {"type": "dpo", "dpo": {"beta": 0.1}}}, 400, "method.dpo.beta", None),
    ({"method": {"type": "supervised", "reinforcement": {}}}, 400, "method.reinforcement", "Give those of the one"),
    ({"method": {"type": "reinforcement", "reinforcement": {"grader": {}}}}, 400, "method.type", "not supported"),
    ({"hyperparameters": {"n_epochs": 0}}, 400, None, None),
    ({"hyperparameters": {"n_epochs": 51}}, 400, None, None),
    ({"hyperparameters": {"n_epochs": True}}, 400, None, None),
    ({"hyperparameters": {"batch_size": 257}}, 400, None, None),
    ({"hyperparameters": {"learning_rate_multiplier": 0}}, 400, None, None),
    ({"hyperparameters": {"learning_rate_multiplier": "high"}}, 400, None, None),
]


async def test_a_job_that_cannot_be_done_is_refused(gateway: Gateway, subtests: pytest.Subtests) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    for fields, status, param, text in IMPOSSIBLE:
        with subtests.test(fields=fields):
            answer = await ask(client, **{"training_file": file, **fields})
            assert answer.status_code == status, answer.text
            error = answer.json()["error"]
            assert param is None or error["param"] == param
            assert text is None or text in error["message"]
    assert (await client.get(JOBS)).json()["data"] == []


async def test_a_file_for_something_else_is_refused(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50), purpose="assistants", name="rows.txt")
    answer = await ask(client, training_file=file)
    assert answer.status_code == 400
    assert "'fine-tune'" in answer.json()["error"]["message"]


async def test_a_file_of_more_than_64_mib_is_refused_unread(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    async with gateway.state.database.begin() as session:
        row = await session.get(FileRow, file)
        assert row is not None
        row.bytes = (64 << 20) + 1
        gateway.state.artifacts.remove_file(row.digest)
    answer = await ask(client, training_file=file)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "file_too_large"


async def test_a_prompts_own_variables_are_asked_for_and_fill_the_rows(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    template = {"name": "support", "template": "You work for {{ company }}."}
    assert (await client.post("/api/prompts", json=template)).status_code in (200, 201)
    answer = await ask(client, rows(12), braid={"prompt": "support@1"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("missing_variables", "braid.variables")
    assert '{"company": …}' in error["message"]
    unused = await ask(client, rows(12), braid={"variables": {"company": "Kestrel"}})
    assert unused.json()["error"]["param"] == "braid.variables"
    job = await start(client, rows(12), braid={"prompt": "support@1", "variables": {"company": "Kestrel"}})
    assert job["braid"]["variables"] == {"company": "Kestrel"}
    content = gateway.state.artifacts.locate_file(job["braid"]["rows"]).read_bytes()
    assert content.count(b"You work for Kestrel.") == 12


async def test_rows_that_the_prompt_cannot_render_are_named(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    source = (
        "{% block question %}{% if question == '?' %}{{ question }}{% else %}{{ question.x }}{% endif %}{% endblock %}"
    )
    assert (await client.post("/api/prompts", json={"name": "support", "template": source})).status_code in (200, 201)
    answer = await ask(client, rows(12), braid={"prompt": "support@1"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")
    assert "12 of 12 rows" in error["message"]
    assert "Row 4: " in error["message"]
    assert "Also rows 11, 12." in error["message"]


async def test_a_bare_prompt_name_is_pinned_to_its_version(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    for text in ("You are terse.", "You are kind."):
        await client.post("/api/prompts", json={"name": "support", "template": text})
    job = await start(client, braid={"prompt": "support"})
    assert job["braid"]["prompt"] == "support@2"


async def test_a_job_names_the_rows_that_it_was_made_of_and_keeps_them(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    await client.post("/api/prompts", json={"name": "support", "template": "You are terse."})
    validation = await upload(client, rows(4))
    job = await start(client, rows(12), validation_file=validation, braid={"prompt": "support@1"})
    for digest, count in ((job["braid"]["rows"], 12), (job["braid"]["validation_rows"], 4)):
        content = gateway.state.artifacts.locate_file(digest).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert content == render_rows(rows(count), "You are terse.").content
    plain = await start(client, rows(12))
    assert plain["braid"]["rows"] != job["braid"]["rows"]
    assert plain["braid"]["validation_rows"] is None


async def test_a_job_that_is_refused_keeps_no_rows(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    files = gateway.state.artifacts.root / "files"
    good = await upload(client, rows(12))
    refused: list[dict[str, Any]] = [{"data": rows(9)}, {"training_file": good, "validation_file": "file-none"}]
    for fields in refused:
        before = len(list(files.iterdir()))
        assert (await ask(client, **fields)).status_code in (400, 404)
        assert len(list(files.iterdir())) == before + ("data" in fields), "the upload, and nothing made of it"


@pytest.mark.parametrize(
    "query",
    [
        "metadata=shop",
        "metadata[a%0Ab]=c",
        "metadata[shop",
        "metadata[]=a",
        "metadata.shop=a",
        "metadata=null&metadata[shop]=a",
        "metadata[shop]=a&metadata[shop]=b",
        "metadata[shop]=a&metadata[shop",
    ],
)
async def test_a_filter_that_is_not_understood_lists_nothing(gateway: Gateway, query: str) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.get(f"{JOBS}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata")


async def test_jobs_are_listed_in_pages_and_by_metadata(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    ids = [
        (await start(client, training_file=file, metadata=metadata))["id"]
        for metadata in ({"team": "a"}, {"team": "b"}, {"team": "a", "run": "2"}, None)
    ]
    first = (await client.get(JOBS, params={"limit": 3})).json()
    assert [job["id"] for job in first["data"]] == ids[:0:-1]
    assert first["has_more"]
    rest = (await client.get(JOBS, params={"limit": 3, "after": first["data"][-1]["id"]})).json()
    assert ([job["id"] for job in rest["data"]], rest["has_more"]) == ([ids[0]], False)

    async def find_jobs(**params: str) -> list[str]:
        answer = await client.get(JOBS, params=params)
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["data"]]

    assert await find_jobs(**{"metadata[team]": "a"}) == [ids[2], ids[0]]
    assert await find_jobs(**{"metadata[team]": "a", "metadata[run]": "2"}) == [ids[2]]
    assert await find_jobs(**{"metadata[team]": "a", "after": ids[2]}) == [ids[0]]
    assert await find_jobs(**{"metadata[team]": "a", "after": ids[1]}) == [
        ids[0]
    ]  # a job without these is a cursor, too
    assert await find_jobs(**{"metadata[team]": "c"}) == []
    assert await find_jobs(metadata="null") == [ids[3]]
    assert (await client.get(JOBS, params={'metadata[a"b]': "c"})).status_code == 400
    assert (await client.get(JOBS, params={"after": "ftjob-none"})).status_code == 400
    assert (await client.get(JOBS, params={"limit": 0})).status_code == 400


async def test_a_queued_job_is_cancelled_at_once(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    cancelled = await client.post(f"{JOBS}/{job['id']}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["finished_at"] >= job["created_at"]
    assert (await events(client, job["id"]))[-1]["message"] == "The job was cancelled."
    again = await client.post(f"{JOBS}/{job['id']}/cancel")
    assert again.status_code == 400
    assert again.json()["error"]["code"] == "job_ended"


async def test_events_come_in_pages_newest_first(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    path = f"{JOBS}/{job['id']}/events"
    first = (await client.get(path, params={"limit": 2})).json()
    assert [event["message"][:5] for event in first["data"]] == ["Files", "Recip"]
    assert first["has_more"]
    rest = (await client.get(path, params={"after": first["data"][-1]["id"]})).json()
    assert [event["message"][:4] for event in rest["data"]] == ["Expe", "Vali", "Crea"]
    assert not rest["has_more"]


async def test_a_new_job_has_no_checkpoints(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    job = await start(client)
    page = (await client.get(f"{JOBS}/{job['id']}/checkpoints")).json()
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_another_tenants_jobs_do_not_exist(gateway: Gateway) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    job = await start(kestrel)
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/events"), ("GET", "/checkpoints")):
        answer = await harbor.request(method, f"{JOBS}/{job['id']}{path}")
        assert answer.status_code == 404, path
    assert (await ask(harbor, training_file=job["training_file"])).status_code == 404
    assert (await harbor.get(JOBS)).json()["data"] == []
    for cursor in (job["id"], job["id"][:-12] + "0" * 12):  # one that exists, and one that nobody ever had
        assert (await harbor.get(JOBS, params={"after": cursor})).json() == (await harbor.get(JOBS)).json()
    assert (await retrieve(kestrel, job["id"]))["status"] == "queued"


async def test_a_key_for_chat_alone_may_not_train(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel", scopes=("chat",))
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/x"), ("POST", "/x/cancel"), ("GET", "/x/events")):
        assert (await client.request(method, JOBS + path, json={})).status_code == 403


async def test_what_is_doubtful_in_rows_is_told_with_their_numbers(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    data = rows(12).splitlines()
    doubtful = b'{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "a@b.example"}]}'
    held_out = await upload(client, data[3])
    job = await start(client, b"\n".join([*data, data[0], doubtful]), validation_file=held_out)
    findings = {event["data"].get("check"): event for event in await events(client, job["id"])}
    assert findings["duplicates"]["data"]["rows"] == [13]
    assert findings["duplicates"]["level"] == "warn"
    leak = {"check": "leakage", "count": 1, "rows": [1], "training_rows": [4]}
    private = {"check": "private_data", "count": 1, "rows": [14], "kind": "e-mail", "places": 1}
    assert (findings["leakage"]["data"], findings["private_data"]["data"]) == (leak, private)
