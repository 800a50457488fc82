"""Which release `braid gate` holds against others: of names, of adapters, and of one that it makes."""

from typing import Any

import pytest

from gateway.cli import measurement
from gateway.client import GatewayError
from gateway.terminal import Exit
from tests.gateway.cli.commands import run
from tests.gateway.written_answers import ADDRESS, WrittenAnswers

FAILED = {"id": "gate_1", "status": "failed", "report": None, "error": {"message": "no engine answers"}}
RETRIEVAL = {"vector_stores": ["vs_1"], "top_k": 3, "embedder": "sha256:e"}
SPEC = {
    "adapter": {"model": "ft:old"},
    "prompt": {"name": "tone", "version": 3},
    "retrieval": RETRIEVAL,
    "sampling": {"temperature": 0.2},
    "variables": {"team": "Kestrel"},
}


def release(number: int, adapter: str | None = None, **spec: Any) -> dict[str, Any]:
    return {"release": number, "spec": {"adapter": adapter and {"model": adapter}} | spec}


def answers(desk: list[Any], shop: list[Any], **more: Any) -> dict[str, Any]:
    gates = {
        f"POST /api/assistants/{name}/releases/{number}/gate": FAILED
        for name in ("desk", "shop")
        for number in range(9)
    }
    lists = {
        "GET /api/assistants": [{"name": "desk"}, {"name": "shop"}],
        "GET /api/assistants/desk/releases": desk,
        "GET /api/assistants/shop/releases": shop,
    }
    return gates | lists | more


def held(sent: list[tuple[str, Any]]) -> list[str]:
    return [request.removeprefix("POST /api/assistants/") for request, _ in sent if request.endswith("/gate")]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["desk@4"], "desk/releases/4/gate"),
        (["desk"], "desk/releases/2/gate"),
        (["ft:a"], "shop/releases/5/gate"),  # the last one of all that has it
        (["ft:a", "--assistant", "desk"], "desk/releases/1/gate"),
    ],
)
async def test_a_target_names_a_release(monkeypatch: pytest.MonkeyPatch, arguments: list[str], path: str) -> None:
    desk, shop = [release(1, "ft:a"), release(2)], [release(4, "ft:a"), release(5, "ft:a"), release(6, "ft:b")]
    gateway = WrittenAnswers.replace_http(monkeypatch, answers(desk, shop))
    done = await run("gate", *arguments, *ADDRESS)
    assert held(gateway.sent) == [path]
    label = path.removesuffix("/gate").replace("/releases/", "@")
    assert (done.exit_code, f"The gate of {label} has no verdict: no engine answers" in done.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [["ft:new"], ["ft:new", "--assistant", "nowhere"], ["nobody"]])
async def test_an_adapter_without_a_release_needs_an_assistant(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    gateway = WrittenAnswers.replace_http(monkeypatch, answers([release(1, "ft:a")], []))
    done = await run("gate", *arguments, *ADDRESS)
    assert (done.exit_code, gateway.sent) == (Exit.NOT_FOUND, [])
    assert "--assistant" in done.stderr


LIKE_SERVING = {
    **{"prompt": "tone@3", "sampling": {"temperature": 0.2}, "variables": {"team": "Kestrel"}, "adapter": "ft:new"},
    "retrieval": {"vector_stores": ["vs_1"], "top_k": 3, "least_probability": 0.0, "when": "always"},
}
BARE = {"sampling": {}, "variables": {}, "adapter": "ft:new"}


@pytest.mark.parametrize(
    ("stages", "spec", "body"),
    [
        ([{"release": 1, "weight": 10}, {"release": 2, "weight": 90}], SPEC, LIKE_SERVING),
        ([{"release": 2, "weight": 1}], SPEC | {"retrieval": RETRIEVAL | {"when": "auto"}}, None),
        ([{"release": 2, "weight": 1}], {"adapter": None, "prompt": None, "retrieval": None}, BARE),
        ([], SPEC, BARE),
    ],
)
async def test_an_adapter_gets_a_release_like_the_one_that_serves(
    monkeypatch: pytest.MonkeyPatch, stages: list[dict[str, int]], spec: dict[str, Any], body: dict[str, Any] | None
) -> None:
    more = {"GET /api/assistants/desk": {"stages": stages}, "POST /api/assistants/desk/releases": {"release": 3}}
    desk = [release(1, "ft:a"), {"release": 2, "spec": spec}]
    gateway = WrittenAnswers.replace_http(monkeypatch, answers(desk, [], **more))
    done = await run("gate", "ft:new", "--assistant", "desk", *ADDRESS)
    (request, sent), _ = gateway.sent
    assert request == "POST /api/assistants/desk/releases"
    if body is None:
        assert sent["retrieval"]["when"] == "auto", "what a release says goes before what older ones didn't"
    else:
        assert sent == body
    assert held(gateway.sent) == ["desk/releases/3/gate"]
    assert ("with the other parts of desk@2" in done.stderr) is bool(stages)


async def test_a_gate_that_runs_already_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "_POLL_SECONDS", 0)
    running = {"id": "gate_1", "status": "running", "done": 1, "total": 0, "report": None, "error": None}
    path = "/api/assistants/desk/releases/4/gate"
    busy = GatewayError(409, "It runs.", "gate_running")
    cancelled = running | {"status": "cancelled"}
    WrittenAnswers.replace_http(monkeypatch, {f"POST {path}": busy, f"GET {path}": (running, running, cancelled)})
    done = await run("gate", "desk@4", *ADDRESS)
    assert done.exit_code == Exit.FAILED
    assert "A gate of desk@4 runs already" in done.stderr
    assert "has no verdict: it is cancelled" in done.stderr


@pytest.mark.parametrize(("status", "exit"), [(401, Exit.DENIED), (409, Exit.CONFLICT), (404, Exit.NOT_FOUND)])
async def test_a_refused_gate_is_told_by_its_status(monkeypatch: pytest.MonkeyPatch, status: int, exit: Exit) -> None:
    path = "POST /api/assistants/desk/releases/4/gate"
    WrittenAnswers.replace_http(monkeypatch, {path: GatewayError(status, "Not so.", "other")})
    done = await run("gate", "desk@4", *ADDRESS)
    assert (done.exit_code, "Not so." in done.stderr) == (exit, True)


async def test_the_prompts_that_are_asked_anyway_are_not_named_since_older_gateways_know_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = WrittenAnswers.replace_http(monkeypatch, answers([], []))
    for prompts in ("196", "784"):
        await run("gate", "desk@4", "--general-prompts", prompts, *ADDRESS)
    assert [body.get("general_prompts") for _, body in gateway.sent] == [None, 784]


async def test_runs_of_evals_are_named_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = WrittenAnswers.replace_http(monkeypatch, answers([], []))
    await run("gate", "desk@4", "--eval-runs", "evalrun_a:evalrun_b", "--eval-runs", "evalrun_c:evalrun_d", *ADDRESS)
    ((_, body),) = gateway.sent
    pairs = [("evalrun_a", "evalrun_b"), ("evalrun_c", "evalrun_d")]
    assert body["eval_runs"] == [{"run_id": one, "baseline_id": other} for one, other in pairs]
    for wrong in ("evalrun_a", "evalrun_a:", ":evalrun_b"):
        done = await run("gate", "desk@4", "--eval-runs", wrong, *ADDRESS)
        assert (done.exit_code, "RUN:BASELINE" in done.stderr) == (Exit.USAGE, True)
    assert len(gateway.sent) == 1
