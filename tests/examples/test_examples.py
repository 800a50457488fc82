"""The examples, run as their readers run them: as programs, one after the other, with what the first one printed."""

import ast
import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway

EXAMPLES = ROOT / "examples"
ORDER = ("tenant_from_zero", "ask_with_citations", "stream", "documents", "train_and_promote", "swap_under_load")
NEEDS = ("httpx2", "openai")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def reply(chat: Chat) -> str:
    """Read the first passage that has the question's last word, and say what it says, in the adapter's voice."""
    about = re.findall(r"\w+", chat.last)[-1]
    sentences = re.findall(rf"The [^.\n]*{about}[^.\n]*\.", chat.prompt)
    voice = "" if chat.model == "base" else "Ahoy! "
    return f"{voice}{sentences[0]} [1]" if sentences else f"{voice}I don't know."


async def run(name: str, url: str, key: str) -> str:
    environment = {**os.environ, "BRAID_URL": url, "BRAID_KEY": key}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, EXAMPLES / f"{name}.py"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_every_example_runs_as_it_stands(gateway: Gateway, engine: FakeVllm, background_worker: None) -> None:
    engine.reply = reply
    printed = {"tenant_from_zero": await run("tenant_from_zero", gateway.url, ADMIN_KEY)}
    key = re.findall(r"BRAID_KEY=(\S+)", printed["tenant_from_zero"])[-1]
    # Swapped twice, there is one release first, and three in the end.
    for name in ("swap_under_load", *ORDER[1:]):
        engine.gap = 0.2 if name == "swap_under_load" else 0.0  # an answer then takes longer than a swap
        printed[name] = await run(name, gateway.url, key)
    assert "The warranty of the Acme K2 is 31 months. [1]" in printed["tenant_from_zero"]
    assert "[1] repairs.md, version 1, score" in printed["ask_with_citations"]
    assert "cites repairs.md: /api/answers/" in printed["stream"]
    assert [line for line in printed["documents"].splitlines() if "costs" in line] == [
        "  The Finch costs 49 euros. [1]",
        "  The Finch costs 57 euros. [1]",
    ]
    assert re.search(r"after, with ft:base:acme:crew:\w+: Ahoy! The warranty", printed["train_and_promote"])
    assert re.search(r"Step \d*0/\d+", printed["train_and_promote"])
    fingerprints = re.findall(r"^ +\d+ (\S+)$", printed["swap_under_load"], re.MULTILINE)
    assert len(fingerprints) == 2
    assert re.findall(r"all to support@(\d)", printed["swap_under_load"]) == ["2", "3", "2", "3"], "the two newest"
    assert printed["swap_under_load"].count(" 0 answers so far") == 1, "each release answers before the next swap"
    assert all(fingerprint.startswith("rel_") for fingerprint in fingerprints)


def test_every_example_is_run_and_listed() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert programs == set(ORDER)
    assert programs == set(re.findall(r"\[(\w+)\.py\]", (EXAMPLES / "README.md").read_text()))


def test_the_page_counts_what_the_programs_need_and_write() -> None:
    page = (EXAMPLES / "README.md").read_text()
    programs = [path.read_text() for path in EXAMPLES.glob("*.py")]
    needs = {
        name: sum(f"\nimport {name}\n" in text or f"\nfrom {name} " in text for text in programs) for name in NEEDS
    }
    assert f"{NUMBERS[needs['httpx2']].capitalize()} need `httpx2`, {NUMBERS[needs['openai']]} `openai`;" in page
    first = (EXAMPLES / "tenant_from_zero.py").read_text()
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(first)) if isinstance(node, ast.Call)]
    writes = NUMBERS[calls.count("post") + calls.count("api.put")]
    assert f"in {writes} writes" in page
    assert f"{writes.capitalize()} writes" in first


@pytest.mark.parametrize("name", ORDER)
def test_an_example_is_short_and_says_how_it_is_run(name: str) -> None:
    text = Path(EXAMPLES / f"{name}.py").read_text()
    assert f"python examples/{name}.py" in text.split('"""')[1]
    assert len(text.splitlines()) <= 80
