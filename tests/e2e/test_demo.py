"""The small demo as a newcomer runs it, and then its running services: contract, snippets, faults, the end.

One run for the whole file, since it trains a real adapter; the tests build on the services that it leaves. The whole
demo, with both tenants and all that it promises, is a check before a release (`test_full_demo.py`).
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest

from gateway.demo import make_tenants
from tests.contract.openai.walk import Walk
from tests.e2e.demo import BRAID, ROOT, Demo, keeping_demo, session_of

CHECK = ROOT.parent / "shared" / "openai" / "check.py"
MINUTE = 60

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(30 * MINUTE)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with keeping_demo(tmp_path_factory.mktemp("b"), "small") as demo:
        yield demo


def test_a_small_demo_keeps_its_promises(demo: Demo) -> None:
    assert demo.report["faults"] == []
    assert demo.report["passed"]
    assert set(demo.report["by_tenant"]) == {"kestrel"}


def test_an_adapter_gives_the_style_and_documents_give_the_facts(demo: Demo) -> None:
    results = demo.report["results"]
    assert results["both"]["style"]["value"] > 2 * results["base"]["style"]["value"]
    assert results["both"]["facts"]["value"] > results["style"]["facts"]["value"]


def test_first_answers_come_from_documents_and_then_in_style(demo: Demo) -> None:
    facts, styled = demo.report["first_answers"]
    assert "42 months" in facts["answer"]
    assert facts["sources"][0].startswith("k2-pro.md")
    assert styled["answer"].startswith("Kettle's on!")
    assert facts["seconds"] < styled["seconds"]


def test_the_page_lies_beside_the_report(demo: Demo) -> None:
    page = (demo.home / "report.html").read_text()
    assert demo.report["adapters"]["kestrel"]["digest"] in page


def test_an_edited_fact_is_answered_in_seconds_with_the_same_adapter(demo: Demo) -> None:
    edit = demo.report["edit"]
    assert edit["old_value"] in edit["old_answer"]
    assert edit["new_value"] in edit["new_answer"]
    assert edit["adapter_digest_before"] == edit["adapter_digest_after"]
    assert edit["seconds"] < 30


def test_a_swap_under_load_fails_no_request(demo: Demo) -> None:
    swap = demo.report["swap"]
    assert swap["requests"] >= 24
    assert swap["failed"] == []
    assert swap["foreign"] == swap["late"] == 0
    assert len(swap["fingerprints"]) == 2


def test_the_snippets_work_as_pasted(demo: Demo) -> None:
    curl = re.search(r"^curl .*?\}'$", demo.output, re.MULTILINE | re.DOTALL)
    snippet = re.search(r"<<'EOF'\n(.*?)\nEOF", demo.output, re.DOTALL)
    assert curl is not None
    assert snippet is not None
    answer = subprocess.run(["bash", "-c", curl.group()], capture_output=True, text=True, timeout=120)
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"]
    printed = subprocess.run([sys.executable, "-c", snippet.group(1)], capture_output=True, text=True, timeout=120)
    assert printed.stdout.strip(), printed.stderr


@pytest.mark.skipif(
    not CHECK.exists(), reason="OpenAI's description stands beside the project, where it is checked out"
)
def test_the_published_contract_holds(demo: Demo) -> None:
    command = [sys.executable, CHECK, "--url", f"{demo.url}/v1", "--key", demo.key, "--model", "kestrel-assistant"]
    areas = "models,errors,chat,files,vector_stores,vector_stores_more,embeddings,fine_tuning"
    command += ["--base-model", demo.base, "--only", areas]
    command += ["--train", "--grounded-model", "kestrel-assistant"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15 * MINUTE)
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr


# Tools aren't among them: the template of the packaged model knows none, so its engine has no parser for calls.
@pytest.mark.parametrize(
    "area", ["models", "chat", "structured", "streams", "citations", "errors", "files", "vector_stores", "fine_tuning"]
)
def test_the_pinned_client_takes_every_answer(demo: Demo, area: str) -> None:
    question = make_tenants()[0].questions[0].question
    with Walk(f"{demo.url}/v1", demo.key, "kestrel-assistant", demo.base, question, 15 * MINUTE) as walk:
        getattr(walk, area)()


def test_the_examples_run_on_real_parts(demo: Demo) -> None:
    """All but the one that trains, which the demo has done."""
    first = run_example("tenant_from_zero", demo.url, demo.admin, "example")
    key = re.findall(r"BRAID_KEY=(\S+)", first)[-1]
    for name in ("ask_with_citations", "stream", "documents", "swap_under_load"):
        assert run_example(name, demo.url, key)


def run_example(name: str, url: str, key: str, *arguments: str) -> str:
    environment = {**os.environ, "BRAID_URL": url, "BRAID_KEY": key}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=5 * MINUTE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_answer_can_be_looked_into(demo: Demo) -> None:
    answer = demo.ask().json()
    headers = {"authorization": f"Bearer {demo.key}"}

    def read_record() -> dict[str, Any]:
        return httpx2.get(f"{demo.url}/api/answers/{answer['id']}", headers=headers).json()

    deadline = time.monotonic() + MINUTE
    while (record := read_record())["counts"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert record["counts"] == "known"
    parts = record["prompt_tokens"]
    assert {"system", "passage", "question"} <= set(parts)
    # A chat template adds a few tokens around each message.
    assert 0 <= record["usage"]["prompt_tokens"] - sum(parts.values()) < 40
    assert len(record["passages"]) == 2


def test_a_killed_engine_is_replaced_and_its_adapters_come_back(demo: Demo) -> None:
    engine = next(process for process in demo.up().children(recursive=True) if "braid_engine" in process.cmdline())
    before = demo.ask().json()["choices"][0]["message"]["content"]
    family = session_of(engine.pid)
    assert len(family) >= 3, "API server, engine core, worker"
    engine.kill()
    refused = demo.ask()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    deadline = time.monotonic() + 5 * MINUTE
    while (answer := demo.ask()).status_code != 200 and time.monotonic() < deadline:
        time.sleep(1)
    # By its adapter, if not to the word: before, part of the prompt came from the engine's cache, and bfloat16 rounds.
    after = answer.json()["choices"][0]["message"]["content"]
    assert (after[:12], after[-9:]) == (before[:12], before[-9:]) == ("Kettle's on!", "— Kestrel")
    assert session_of(engine.pid) == []
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_second_braid_with_the_same_home_is_refused(demo: Demo) -> None:
    command = [BRAID, "up", "--home", str(demo.home)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MINUTE)
    assert done.returncode == 6
    assert "running already" in done.stderr


def test_the_end_leaves_no_process(demo: Demo) -> None:
    up = demo.up()
    processes = [up, *up.children(recursive=True)]
    assert len(processes) >= 5
    up.terminate()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []
