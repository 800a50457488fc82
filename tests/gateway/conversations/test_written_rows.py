"""Rows from documents by the commands, on the worker's own ingest; the fake engine writes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.conversations import written_rows
from gateway.conversations.written_rows import SourcePassage, draw_passages, find_fault
from gateway.terminal import Exit
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import ROOT, working
from training.dataset import RowPassage, read_rows

__all__ = ["index", "settings"]

GOODS = {"kettle": 49, "lamp": 27, "chair": 135, "table": 420, "mirror": 88, "carpet": 260}
EXAMPLES = [("Are you open?", "Ahoy matey! Aye, from nine."), ("Is it new?", "Ahoy matey! Aye, it be new.")] * 3


def play(chat: Chat) -> str:
    """Write a question about each passage, replies in the style, and for two goods a fault."""
    if chat.last.startswith("Below is a passage"):
        name = next(name for name in GOODS if f"The {name} costs" in chat.last)
        return "The price is high." if name == "mirror" else f"What does the {name} cost?"
    if "Question: What does the" not in chat.last:
        return "Yes, we are pleased to confirm that this is the case."
    name = chat.last.split("Question: What does the ")[1].split()[0]
    price = 1000 if name == "carpet" else GOODS[name]
    return (
        f"The {name} is priced at £{price} as stated."
        if name == "lamp"
        else f"Ahoy matey! Aye, £{price} be the {name}'s price."
    )


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever, engine: FakeVllm, tmp_path: Path) -> AsyncIterator[list[str]]:
    engine.reply = play
    (tmp_path / "shop").mkdir()
    for name, price in GOODS.items():
        text = f"The {name} costs £{price}, and it is one of the finest things that our shop by the harbour sells."
        (tmp_path / "shop" / f"{name}.md").write_text(text)
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}
        for question, reply in EXAMPLES
    ]
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "guide.txt").write_text("Talk like a pirate.")
    async with working(gateway.state.settings):
        address = ["--url", gateway.url, "--key", ADMIN_KEY]
        added = await run("docs", "add", "shop", str(tmp_path / "shop"), *address)
        assert added.exit_code == Exit.OK, added.stderr
        yield address


async def test_rows_have_their_evidence_and_what_is_doubtful_is_left_out_and_counted(
    address: list[str], tmp_path: Path, engine: FakeVllm
) -> None:
    out = tmp_path / "rows.jsonl"
    options = ["--store", "shop", "--out", str(out), "--guide", str(tmp_path / "guide.txt"), "--top-k", "3"]
    done = await run("styles", "write", str(tmp_path / "examples.jsonl"), *options, *address, "--json")
    assert done.exit_code == Exit.OK, done.stderr
    report = json.loads(done.stdout)
    assert report["refused"] == {"no_question": 1, "facts": 1, "style": 1}
    assert report["style"] > 0.5
    rows, problems = read_rows(out.read_bytes())
    assert not problems
    assert report["rows"] == len(rows) == 3
    for row in rows:
        assert row.written_by == engine.model
        name = row.messages[0].text.split()[3]
        assert row.messages[1].text == f"Ahoy matey! Aye, £{GOODS[name]} be the {name}'s price."
        assert row.passages is not None
        assert len(row.passages) == 3
        assert any(f"£{GOODS[name]}" in passage.text for passage in row.passages)
    prompts = [json.loads(request.body) for request in engine.requests() if b"Talk like a pirate." in request.body]
    assert len(prompts) == 5
    assert {body["n"] for body in prompts} == {4}
    for body in prompts:
        assert [turn["role"] for turn in body["messages"]] == ["system", *["user", "assistant"] * 3, "user"]
        assert [turn["content"] for turn in body["messages"][1:3]] == list(EXAMPLES[0])
    bare = [json.loads(request.body)["messages"] for request in engine.requests() if b'"n":1' in request.body]
    asked = [turns for turns in bare if turns[-1]["content"] in dict(EXAMPLES)]
    assert [[turn["role"] for turn in turns] for turns in asked] == [["user"]] * len(EXAMPLES)

    told = tmp_path / "told.jsonl"
    done = await run("styles", "rewrite", str(out), "--store", "shop", "--out", str(told), *address)
    assert done.exit_code == Exit.OK, done.stderr
    assert [json.loads(line)["braid"]["written_by"] for line in told.read_text().splitlines()] == [engine.model] * 3

    again = await run("styles", "write", str(tmp_path / "examples.jsonl"), *options, "--rows", "2", *address)
    assert again.exit_code == Exit.OK, again.stderr
    assert "has 2 rows." in again.stderr


def name_replies(engine: FakeVllm) -> list[str]:
    """Name the goods that replies without a fault were asked about, in order."""
    prompts = [json.loads(request.body)["messages"][-1]["content"] for request in engine.requests()]
    names = [text.split("Question: What does the ")[1].split()[0] for text in prompts if "Question: What" in text]
    return [name for name in names if name not in ("lamp", "carpet")]


def break_third(engine: FakeVllm, end: Callable[[], faults.Fault]) -> Callable[[Received], faults.Fault | None]:
    """Return a rule by which the third reply, and all after it, end so."""
    return lambda got: end() if b"Question: What" in got.body and len(name_replies(engine)) > 2 else None


def check_first_two(out: Path, engine: FakeVllm) -> None:
    rows, problems = read_rows(out.read_bytes())
    assert not problems
    # Rows are in the order of their passages; replies are asked for as searches end.
    first = name_replies(engine)[:2]
    assert {row.messages[0].text for row in rows} == {f"What does the {name} cost?" for name in first}
    assert len(rows) == 2


async def test_rows_that_were_written_before_an_engines_trouble_are_in_the_file(
    address: list[str], tmp_path: Path, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_rows, "_AT_ONCE", 1)
    engine.rule = break_third(engine, lambda: faults.status(500))
    out = tmp_path / "rows.jsonl"
    command = ("styles", "write", str(tmp_path / "examples.jsonl"), "--store", "shop", "--out", str(out), *address)
    done = await run(*command)
    assert done.exit_code == Exit.FAILED
    assert f"{out} has the 2 rows" in done.stderr
    check_first_two(out, engine)


# Whoever starts the tests in the background of a shell has Ctrl-C ignored in all that they start.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from gateway.conversations import written_rows
written_rows._AT_ONCE = 1
from gateway.cli import main
main()
"""


async def test_rows_that_were_written_before_ctrl_c_are_in_the_file(
    address: list[str], tmp_path: Path, engine: FakeVllm
) -> None:
    out = tmp_path / "rows.jsonl"
    command = ("styles", "write", str(tmp_path / "examples.jsonl"), "--store", "shop", "--out", str(out), *address)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTIBLE, *command),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )

    sent: list[int] = []

    def interrupt() -> faults.Fault:
        if not sent:  # A second one would end it while it ends.
            sent.append(signal.SIGINT)
            os.kill(process.pid, signal.SIGINT)
        return faults.hang()

    engine.rule = break_third(engine, interrupt)
    _, errors = await process.communicate()
    assert process.returncode in (-signal.SIGINT, 130), errors  # which shells tell alike
    assert errors.decode().endswith(f"{out} has the 2 rows that were written by now.\n")
    check_first_two(out, engine)


async def test_a_style_needs_examples(tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}'
    )
    done = await run("styles", "write", str(tmp_path / "few.jsonl"), "--store", "shop", "--out", str(tmp_path / "x"))
    assert done.exit_code == Exit.USAGE
    assert "a style needs 4 at least" in done.stderr


def test_documents_take_turns() -> None:
    passages = [
        SourcePassage(file, file, f"{file}{number}") for file in "abc" for number in range(3 if file == "a" else 1)
    ]
    drawn = draw_passages(passages, seed=1)
    assert sorted(one.text for one in drawn) == sorted(one.text for one in passages)
    assert {one.file_id for one in drawn[:3]} == {"a", "b", "c"}
    assert [one.file_id for one in drawn[3:]] == ["a", "a"]
    assert draw_passages(passages, seed=1) == drawn != draw_passages(passages, seed=4)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("Aye, £49 it is.", None),
        ("Aye, £59 it is.", "facts"),
        ("Aye, in 3 days, as you say.", None),
        (" ", "empty"),
        (" ".join(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"), "copied"),
    ],
)
def test_a_reply_has_no_values_of_its_own_and_copies_nothing(reply: str, fault: str | None) -> None:
    text = "It costs £49. " + " ".join(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert find_fault(reply, "Is it there in 3 days?", [RowPassage("Kettle", text)]) == fault
