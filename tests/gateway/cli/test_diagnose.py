"""`braid diagnose` against a running gateway."""

import json
from pathlib import Path

import pytest

from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever) -> list[str]:
    await gateway.admin.post("/api/assistants", json={"name": "desk"})
    template = "{% block system %}Say nothing.{% endblock %}"
    await gateway.admin.post("/api/prompts", json={"name": "desk", "template": template})
    made = await gateway.admin.post("/api/assistants/desk/releases", json={"prompt": "desk@1"})
    assert made.status_code == 201, made.text
    return ["--url", gateway.url, "--key", ADMIN_KEY]


async def test_the_strand_is_told_and_the_release_that_mends(
    gateway: Gateway, address: list[str], engine: FakeVllm, tmp_path: Path
) -> None:
    def reply(prompt: str, question: str) -> str:
        return "" if "Say nothing" in prompt and "warranty" in question else "It is 24 months."

    engine.reply = lambda chat: reply(chat.prompt, chat.last)
    for name, topic in (("failures", "warranty"), ("passes", "delivery")):
        rows = [{"question": f"How long is the {topic} of item {n}?", "expected": ["24 months"]} for n in range(6)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = ["--failures", str(tmp_path / "failures.jsonl"), "--passes", str(tmp_path / "passes.jsonl")]
    async with working(gateway.state.settings):
        done = await run("diagnose", "desk@1", *files, "--out", str(tmp_path / "out"), *address)
    assert done.exit_code == Exit.OK, done.stderr
    assert done.stdout.splitlines()[-1].split("\t") == ["prompt", "6"]
    assert "prompt: no prompt mends 6 of 6. Release desk@2" in done.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["strands"] == {"prompt": 6}
    assert "desk@1" in (tmp_path / "out" / "report.html").read_text()


async def test_what_cannot_be_read_is_told(address: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": 1}\n{')
    done = await run("diagnose", "desk@1", "--failures", str(tmp_path / "bad.jsonl"), *address)
    assert (done.exit_code, "line 2" in done.stderr) == (Exit.USAGE, True)
    (tmp_path / "bad.jsonl").write_text('{"question": 1, "question": 2}')
    done = await run("diagnose", "desk@1", "--failures", str(tmp_path / "bad.jsonl"), *address)
    assert (done.exit_code, "'question' twice" in done.stderr) == (Exit.USAGE, True)
    done = await run("diagnose", "--gate", "desk", *address)
    assert (done.exit_code, "desk@7" in done.stderr) == (Exit.USAGE, True)
