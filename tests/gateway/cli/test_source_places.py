"""`braid sources` by what it sends and says: places on the command line, and every end of a sync."""

from pathlib import Path
from typing import Any

import pytest

from gateway.cli import sources
from gateway.terminal import Exit
from tests.gateway.cli.commands import run
from tests.gateway.written_answers import ADDRESS, WrittenAnswers

STORES = [{"id": "vs_1", "name": "handbook"}]
STATE: dict[str, Any] = {
    **{"id": "src_1", "name": "shop", "status": "synced", "items": 8, "failed": 0, "reading": 0, "deletions": 0},
    **{"done": 0, "total": 0, "error": None, "vector_store_id": "vs_1"},
}


def state(**members: Any) -> dict[str, Any]:
    return STATE | members


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_POLL_SECONDS", 0)


def answering(monkeypatch: pytest.MonkeyPatch, end: Any, **more: Any) -> WrittenAnswers:
    answers = {"GET /v1/vector_stores": STORES, "GET /api/sources": [STATE]}
    ends = {"POST /api/sources": end, "POST /api/sources/src_1/sync": end, "DELETE /api/sources/src_1": None}
    return WrittenAnswers.replace_http(monkeypatch, answers | ends | more)


def folder(path: str) -> dict[str, str]:
    return {"kind": "folder", "path": str(Path(path).absolute())}


@pytest.mark.parametrize(
    ("arguments", "name", "origin"),
    [
        (["/srv/Shop Docs/"], "shop-docs", folder("/srv/Shop Docs")),
        (["docs/Ünlü..."], "nl", folder("docs/Ünlü...")),
        (["/"], "source", folder("/")),
        (["/srv/" + "x" * 80], "x" * 63, folder("/srv/" + "x" * 80)),
        (["s3://bucket/Hand_Book/"], "hand_book", {"kind": "s3", "url": "s3://bucket/Hand_Book/"}),
        (["https://kestrel.example"], "kestrel.example", {"kind": "web", "url": "https://kestrel.example"}),
        (["https://host.example/a/Docs.git"], "docs", {"kind": "git", "url": "https://host.example/a/Docs.git"}),
        (["ssh://git@host.example/a/docs"], "docs", {"kind": "git", "url": "ssh://git@host.example/a/docs"}),
        (["git@host.example:a/Docs.git"], "docs", {"kind": "git", "url": "ssh://git@host.example/a/Docs.git"}),
        (["git@host.example:/a/docs"], "docs", {"kind": "git", "url": "ssh://git@host.example/a/docs"}),
        (
            ["https://host.example/a/docs", "--branch", "main", "--name", "own"],
            *("own", {"kind": "git", "url": "https://host.example/a/docs", "branch": "main"}),
        ),
        (
            ["https://kestrel.example/help", "--depth", "0", "--pages", "9"],
            *("help", {"kind": "web", "url": "https://kestrel.example/help", "depth": 0, "pages": 9}),
        ),
    ],
)
async def test_a_place_says_what_kind_of_source_it_is_and_its_name(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str, origin: dict[str, Any]
) -> None:
    gateway = answering(monkeypatch, STATE)
    done = await run("sources", "add", "handbook", *arguments, *ADDRESS)
    assert done.exit_code == Exit.OK, done.stderr
    ((_, body),) = gateway.sent
    assert (body["name"], body["origin"], body["vector_store_id"]) == (name, origin, "vs_1")
    assert (body["include"], body["exclude"], body["hidden"], body["interval_seconds"]) == ([], [], False, 3600)


async def test_patterns_and_times_are_sent_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = answering(monkeypatch, STATE)
    patterns = ["--include", "*.md", "--include", "*.txt", "--exclude", "old", "--hidden", "--every", "0"]
    await run("sources", "add", "vs_1", "/srv/docs", *patterns, *ADDRESS)
    ((_, body),) = gateway.sent
    assert (body["include"], body["exclude"], body["hidden"], body["interval_seconds"]) == (
        *(["*.md", "*.txt"], ["old"]),
        *(True, None),
    )


@pytest.mark.parametrize(("store", "made"), [("vs_2", False), ("new", True)])
async def test_a_new_name_makes_a_store_and_an_unknown_id_does_not(
    monkeypatch: pytest.MonkeyPatch, store: str, made: bool
) -> None:
    gateway = answering(monkeypatch, STATE, **{"POST /v1/vector_stores": {"id": "vs_9"}})
    done = await run("sources", "add", store, "/srv/docs", *ADDRESS)
    assert done.exit_code == (Exit.OK if made else Exit.NOT_FOUND), done.stderr
    assert [request for request, _ in gateway.sent] == ["POST /v1/vector_stores", "POST /api/sources"] * made
    if made:
        assert gateway.sent[1][1]["vector_store_id"] == "vs_9"


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (state(), Exit.OK, ""),
        (state(status="needs_confirmation", deletions=5), Exit.CONFLICT, "5 of 8 documents would be deleted"),
        (state(status="failed", error={"message": "The folder is gone."}), Exit.FAILED, "The folder is gone."),
        (state(status="paused"), Exit.FAILED, "The sync was stopped."),
        (state(failed=2), Exit.FAILED, "2 of 8 items aren't live"),
        (state(failed=2), Exit.FAILED, "/api/sources/src_1/items?failed=true"),
        (
            state(failed=2, error={"message": "a.md is damaged."}),
            Exit.FAILED,
            "a.md is damaged. Mend them in their place",
        ),
    ],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
async def test_how_a_sync_ends_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, end: dict[str, Any], status: Exit, words: str, as_json: list[str]
) -> None:
    answering(monkeypatch, end)
    done = await run("sources", "sync", "shop", *as_json, *ADDRESS)
    assert (done.exit_code, words in done.stderr) == (status, True), done.stderr
    assert ('"status"' in done.stdout) is bool(as_json), "also what went wrong is printed whole"
    assert words or done.stderr == ("" if as_json else "name\tstatus\titems\tfailed\n")


@pytest.mark.parametrize(("flags", "confirmed"), [([], 0), (["--yes"], 5)])
async def test_only_the_deletions_that_were_shown_are_confirmed(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], confirmed: int
) -> None:
    gateway = answering(monkeypatch, STATE, **{"GET /api/sources": [state(deletions=5)]})
    await run("sources", "sync", "src_1", *flags, *ADDRESS)
    assert gateway.sent == [("POST /api/sources/src_1/sync", {"confirm_deletions": confirmed})]


async def test_a_sync_is_waited_for_and_says_how_far_it_is_when_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [state(status="syncing", done=done, total=total) for done, total in ((0, 0), (1, 3), (1, 3), (2, 3))]
    answering(monkeypatch, state(status="waiting", total=3), **{"GET /api/sources/src_1": (*steps, state(failed=0))})
    done = await run("sources", "sync", "shop", *ADDRESS)
    assert done.exit_code == Exit.OK
    progress = done.stderr.splitlines()[:-1]
    assert progress == [f"shop: {number} of 3 changed items are put" for number in (1, 2)], "the last names the columns"


async def test_documents_that_are_read_after_a_sync_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [state(total=3, reading=reading) for reading in (2, 2, 1)]
    answering(monkeypatch, state(status="waiting"), **{"GET /api/sources/src_1": (*steps, state(failed=1))})
    done = await run("sources", "sync", "shop", *ADDRESS)
    assert done.exit_code == Exit.FAILED
    assert done.stderr.splitlines()[:2] == ["shop: 2 documents to be read", "shop: 1 document to be read"]
    assert done.stdout.split() == ["shop", "synced", "8", "1"]


@pytest.mark.parametrize(("flags", "kept"), [([], False), (["--keep"], True)])
async def test_a_source_is_removed_with_its_documents_unless_they_are_kept(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], kept: bool
) -> None:
    gateway = answering(monkeypatch, STATE)
    done = await run("sources", "remove", "shop", *flags, *ADDRESS)
    assert gateway.sent == [("DELETE /api/sources/src_1", {"keep_documents": kept})]
    assert ("stay" in done.stderr, "go too" in done.stderr) == (kept, not kept)


async def test_a_name_that_is_another_ones_id_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = answering(monkeypatch, STATE, **{"GET /api/sources": [STATE, state(id="src_2", name="src_1")]})
    done = await run("sources", "remove", "src_1", *ADDRESS)
    assert (done.exit_code != Exit.OK, gateway.sent) == (True, [])
    assert "Say the id" in done.stderr
