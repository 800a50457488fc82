import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.remote import RemoteBackend
from retrieval.errors import DocumentUnreadable, EmbedderOutOfMemory, InvalidFilter, InvalidVisibility
from retrieval.index import Index
from retrieval.messages import (
    ContentRequest,
    IngestProgress,
    IngestRequest,
    IngestResult,
    ParseRequest,
    Passage,
    Weights,
)
from tests.retrieval.model.parsers.office_files import make_docx
from tests.retrieval.model.parsers.pdf_files import make_pdf
from tests.retrieval.requests import ingest_request, search_query
from tests.retrieval.words import WordEmbedder
from tests.waiting import until

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

KETTLE = "# Kestrel K2\n\n## Warranty\n\nThe warranty lasts {months} months.\n\n## Price\n\nIt costs 49 euros.\n"


class Library:
    """An index with one tenant's habits, so that tests read as a story of documents and index epochs."""

    def __init__(self, index: Index, folder: Path) -> None:
        self.index = index
        self.folder = folder
        self.progress: list[IngestProgress] = []

    async def put(self, text: str | bytes, index_epoch: int, document: str = "k2", **changes: Any) -> IngestResult:
        path = self.folder / f"{document}-{index_epoch}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return await self.ingest(self.request(document, index_epoch, **changes))

    def request(self, document: str, index_epoch: int, **changes: Any) -> IngestRequest:
        fields: dict[str, Any] = {
            "document": document,
            "key": f"{document}.md",
            "version": index_epoch,
            "file_id": f"file-{document}",
            "filename": f"{document}.md",
            "path": str(self.folder / f"{document}-{index_epoch}"),
            "index_epoch": index_epoch,
            "max_chunk_tokens": 40,
        }
        return ingest_request(**{**fields, **changes})

    async def ingest(self, request: IngestRequest) -> IngestResult:
        async def report(step: IngestProgress) -> None:
            self.progress.append(step)

        return await self.index.ingest(request, report)

    async def ask(self, text: str, index_epoch: int, /, **changes: Any) -> list[Passage]:
        fields: dict[str, Any] = {"stores": {"vs": index_epoch}, "text": text}
        return await self.index.search(search_query(**{**fields, **changes}))

    async def facts(self, index_epoch: int) -> set[str]:
        return {passage.text.split("\n")[-1] for passage in await self.ask("warranty price", index_epoch, limit=50)}


@asynccontextmanager
async def open_library(kind: str, folder: Path, embedder: WordEmbedder) -> AsyncGenerator[Library]:
    client = AsyncQdrantClient(":memory:")
    backend = (
        EmbeddedBackend.open(folder / "shard", embedder.dimensions)
        if kind == "embedded"
        else await RemoteBackend.open(client, "c", embedder.dimensions)
    )
    index = Index(backend, embedder)
    yield Library(index, folder)
    await index.close()
    await client.close()


@pytest.fixture(params=["embedded", "remote"])
async def library(request: pytest.FixtureRequest, tmp_path: Path, embedder: WordEmbedder) -> AsyncIterator[Library]:
    async with open_library(request.param, tmp_path, embedder) as library:
        yield library


@pytest_asyncio.fixture(params=["embedded", "remote"], scope="module", loop_scope="module")
async def kettles_and_pots(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """Two documents with attributes, for tests that only read."""
    async with open_library(request.param, tmp_path_factory.mktemp("library"), WordEmbedder()) as library:
        await library.put(KETTLE.format(months=31), 1, "a", attributes={"area": "kettles", "a.b": 1})
        await library.put(KETTLE.format(months=44), 2, "b", attributes={"area": "pots", "a.b": 2.5})
        yield library


async def test_a_passage_says_where_it_is_from(library: Library) -> None:
    ingested = await library.put(KETTLE.format(months=31), 1, attributes={"area": "kettles", "year": 2026, "new": True})
    assert (ingested.chunks, ingested.embedded, ingested.reused, ingested.media_type) == (2, 2, 0, "text/markdown")
    best = (await library.ask("How long is the warranty?", 1))[0]
    assert best.text == KETTLE.format(months=31)[best.start : best.end]
    assert best.body == KETTLE.format(months=31)[best.start + best.headline : best.end]
    assert best.body == "The warranty lasts 31 months."
    assert (best.heading, best.key, best.version, best.file_id) == ("Kestrel K2 > Warranty", "k2.md", 1, "file-k2")
    assert best.attributes == {"area": "kettles", "year": 2026, "new": True}
    assert 0 < best.score <= 1


async def test_a_new_version_is_invisible_until_the_index_epoch_moves_and_then_alone(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    old = await library.facts(1)
    await library.put(KETTLE.format(months=33), 2)
    assert await library.facts(1) == old == {"The warranty lasts 31 months.", "It costs 49 euros."}
    assert await library.facts(2) == {"The warranty lasts 33 months.", "It costs 49 euros."}
    assert {passage.version for passage in await library.ask("price", 2)} == {2}


async def read(library: Library, index_epoch: int, document: str = "k2", tenant: str = "kestrel") -> str:
    """Read a document's text as the gateway does, until nothing is left of it."""
    request = ContentRequest(tenant=tenant, store="vs", document=document, index_epoch=index_epoch)
    texts: list[str] = []
    while pieces := await library.index.read_content(request):
        assert [piece.end - piece.start for piece in pieces] == [len(piece.text) for piece in pieces]
        texts += [piece.text for piece in pieces]
        request = msgspec.structs.replace(request, start=pieces[-1].end)
    return " ".join(" ".join(texts).split())


async def test_a_part_of_a_document_is_read_with_its_headings(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    request = ContentRequest(tenant="kestrel", store="vs", document="k2", index_epoch=1)
    pieces = await library.index.read_content(request)
    assert {"Kestrel K2 > Warranty"} < {piece.heading for piece in pieces}
    assert not any(piece.body.startswith("#") for piece in pieces)
    middle = next(piece for piece in pieces if piece.heading == "Kestrel K2 > Warranty")
    part = msgspec.structs.replace(request, start=middle.start, end=middle.end)
    assert await library.index.read_content(part) == [middle]


async def test_the_text_of_a_document_is_that_of_its_index_epoch_in_order_and_nothing_twice(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.content._MOST_CHARACTERS", 150)
    words = " ".join(f"word{number}" for number in range(200))
    await library.put(words, 1, max_chunk_tokens=20, overlap_tokens=10)
    assert await read(library, 1) == words
    await library.put("Now it is short.", 2)
    assert await read(library, 1) == words
    assert await read(library, 2) == "Now it is short."
    assert await read(library, 2, "other") == await read(library, 2, tenant="harbor") == ""


async def test_a_file_is_parsed_without_being_kept(library: Library) -> None:
    paragraph = "<w:p><w:r><w:t>It has 31 months.</w:t></w:r></w:p>"
    files = {"a.pdf": make_pdf(["It has 31 months."]), "a.docx": make_docx(paragraph)}
    for name, data in files.items():
        (library.folder / name).write_bytes(data)
        parsed = await library.index.parse(ParseRequest(str(library.folder / name), name))
        assert "It has 31 months." in parsed.text
    assert await read(library, 1) == ""
    (library.folder / "broken").write_bytes(b"\0\1\2\3" * 50)
    with pytest.raises(DocumentUnreadable):
        await library.index.parse(ParseRequest(str(library.folder / "broken"), "a.pdf"))


async def test_the_weights_of_a_question_change_its_scores(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    scores: dict[Weights, float] = {}
    for weights in (Weights(1, 0), Weights(0, 1)):
        scores[weights] = (await library.ask("price euros", 1, weights=weights))[0].score
    plain = (await library.ask("price euros", 1))[0].score
    assert min(scores.values()) < plain < max(scores.values())


async def test_only_changed_chunks_are_embedded(library: Library, embedder: WordEmbedder) -> None:
    def manual(months: int) -> str:
        return "# Manual\n\n" + "\n\n".join(
            f"## Model {n}\n\nModel {n} has a warranty of {months if n == 117 else 24} months and costs {n} euros."
            for n in range(200)
        )

    first = await library.put(manual(24), 1)
    assert (first.chunks, first.embedded) == (200, 200)
    embedder.texts.clear()
    second = await library.put(manual(31), 2)
    assert (second.chunks, second.embedded, second.reused) == (200, 1, 199)
    assert ["Model 117" in text for text in embedder.texts] == [True]
    back = await library.put(manual(24), 3)
    assert (back.embedded, back.reused) == (0, 200)
    assert len(await library.ask("Model warranty", 3, limit=50)) == 50


async def test_equal_texts_are_embedded_once(library: Library, embedder: WordEmbedder) -> None:
    same = "# Hours\n\n" + "## Pier\n\nOpen from 8 to 18 every day of the week.\n\n" * 3
    ingested = await library.put(same, 1)
    assert (ingested.chunks, ingested.embedded) == (3, 2)  # The first carries the document's heading.


async def test_rollback_takes_back_what_readers_have_not_seen(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    await library.put("# Other\n\nIt stays.", 2, "other")
    await library.put(KETTLE.format(months=99), 3)
    await library.put("# Other\n\nIt moves.", 4, "other")
    await library.index.rollback("kestrel", "vs", 2)
    assert await library.facts(2) == await library.facts(9)
    assert await library.facts(9) == {"The warranty lasts 31 months.", "It costs 49 euros.", "It stays."}


async def test_an_ingest_run_twice_leaves_one_set_of_points(library: Library) -> None:
    await library.put(KETTLE.format(months=31) + "\n## Extra\n\nA longer first try.", 1)
    await library.put(KETTLE.format(months=31), 1)
    assert await library.facts(1) == {"The warranty lasts 31 months.", "It costs 49 euros."}
    assert (await library.index.describe()).points == 2


async def test_a_replaced_version_goes_with_the_index_epoch_and_is_then_collected(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    await library.put("# Kettle\n\nIt is sold out.", 2)
    assert len(await library.facts(1)) == 2
    assert await library.facts(2) == {"It is sold out."}
    await library.index.collect_garbage("kestrel", "vs", 1)
    assert len(await library.facts(1)) == 2
    await library.index.collect_garbage("kestrel", "vs", 2)
    assert await library.facts(1) == set()
    assert (await library.index.describe()).points == 1


async def test_removing_and_dropping_touch_nothing_else(library: Library) -> None:
    for store, tenant in (("vs", "kestrel"), ("other", "kestrel"), ("vs", "harbor")):
        await library.put(KETTLE.format(months=31), 1, store=store, tenant=tenant)
    await library.put("# Tea\n\nGreen.", 1, "tea")
    await library.index.remove_documents("kestrel", "vs", ["k2"])
    assert {passage.document for passage in await library.ask("tea", 1)} == {"tea"}
    await library.index.drop_store("kestrel", "vs")
    assert await library.ask("tea warranty", 1) == []
    assert len(await library.ask("warranty", 1, stores={"other": 1})) == 2
    assert len(await library.ask("warranty", 1, tenant="harbor")) == 2


async def test_tenants_never_see_each_other_even_by_store_and_document_id(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    await library.put(KETTLE.format(months=44), 1, tenant="harbor")
    assert "The warranty lasts 31 months." in await library.facts(1)
    assert "The warranty lasts 44 months." not in await library.facts(1)
    assert (await library.put(KETTLE.format(months=44), 2)).reused == 1  # The price, its own; not harbor's warranty.
    await library.index.drop_store("harbor", "vs")
    assert len(await library.facts(2)) == 2


async def test_no_tenant_or_no_store_never_means_all(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    for stores in ({"vs": 1}, {}):
        with pytest.raises(InvalidVisibility):
            await library.ask("warranty", 1, tenant="", stores=stores)
    assert await library.ask("warranty", 1, stores={}) == []
    assert await library.ask("warranty", 1, stores={"unknown": 1}) == []
    with pytest.raises(InvalidVisibility):
        await library.index.drop_store("kestrel", "")
    with pytest.raises(InvalidVisibility):
        await library.put("text", 2, tenant="")
    assert len(await library.facts(1)) == 2


async def test_each_store_is_read_at_its_own_index_epoch(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 5)
    await library.put(KETTLE.format(months=44), 2, "k3", store="old")
    for index_epoch, stores in ((4, {"old"}), (5, {"old", "vs"})):
        passages = await library.ask("warranty", 0, stores={"vs": index_epoch, "old": 2}, limit=50)
        assert {passage.store for passage in passages} == stores


@pytest.mark.parametrize(
    ("changes", "documents"),
    [
        ({}, {"a", "b"}),
        ({"filters": {"type": "eq", "key": "area", "value": "kettles"}}, {"a"}),
        ({"filters": {"type": "gt", "key": "a.b", "value": 1}}, {"b"}),
        ({"filters": {"type": "ne", "key": "area", "value": "kettles"}}, {"b"}),
        ({"filters": {"type": "eq", "key": "area", "value": "pans"}}, set[str]()),
        ({"exclude": ["a"]}, {"b"}),
        ({"score_threshold": 1.0}, set[str]()),
        ({"limit": 0}, set[str]()),
        ({"text": "  "}, set[str]()),
    ],
    ids=["all", "eq", "gt", "ne", "no match", "exclude", "threshold", "limit 0", "no words"],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_search_is_narrowed_as_it_asks(
    kettles_and_pots: Library, changes: dict[str, Any], documents: set[str]
) -> None:
    passages = await kettles_and_pots.ask("warranty", 2, **changes)
    assert {passage.document for passage in passages} == documents


async def test_no_more_passages_come_back_than_the_limit(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    assert len(await library.ask("warranty", 1, limit=1)) == 1


async def test_a_filter_that_is_none_is_refused(library: Library) -> None:
    with pytest.raises(InvalidFilter):
        await library.ask("warranty", 1, filters={"type": "near", "key": "area", "value": 1})


async def test_an_unreadable_document_leaves_the_old_version_answering(library: Library) -> None:
    await library.put(KETTLE.format(months=31), 1)
    with pytest.raises(DocumentUnreadable) as caught:
        await library.put(b"\0\0\0\x18ftypmp42" + b"\0" * 20, 2)
    assert caught.value.code == "unsupported_file"
    assert await library.facts(1) == await library.facts(2)
    assert len(await library.facts(1)) == 2


async def test_progress_counts_up_to_the_whole(library: Library) -> None:
    manual = "# M\n\n" + "\n\n".join(f"## Model {n}\n\nModel {n} costs {n} euros and not more." for n in range(70))
    await library.put(manual, 1)
    stages = [step.stage for step in library.progress]
    assert stages[:2] == ["parsed", "chunked"]
    assert set(stages[2:]) == {"embedded", "written"}
    for stage in ("embedded", "written"):
        counts = [step.done for step in library.progress if step.stage == stage]
        assert counts == sorted(counts)
        assert counts[-1] == 70
    assert {step.total for step in library.progress[1:]} == {70}


async def test_chunks_never_exceed_what_the_embedder_sees(library: Library, embedder: WordEmbedder) -> None:
    await library.put(" ".join(f"Sentence {n} of six words." for n in range(400)), 1, max_chunk_tokens=4000)
    assert len(embedder.texts) > 5
    assert max(len(embedder.find_token_offsets(text)) for text in embedder.texts) <= embedder.window


async def test_words_with_joiners_are_found_however_they_are_asked(library: Library) -> None:
    await library.put("# راهنما\n\nمی\u200cخواهم کتری را بشویم.\n", 1, "one")
    await library.put("# Kettles\n\nThe warranty lasts 31 months.\n", 2, "two")
    for question in ("می\u200cخواهم", "\u200bمی\u200cخواهم\ufeff"):
        best, *_ = await library.ask(question, 2)
        assert best.document == "one"
        assert "می\u200cخواهم" in best.text


@pytest.mark.case("doc-pdf-and-ligatures")
async def test_words_with_ligatures_are_found_as_they_are_typed(library: Library) -> None:
    await library.put("# Kettles\n\nThe \ufb03x is of\ufb01cial.\n", 1, "one")
    await library.put("# Lamps\n\nThe warranty lasts 31 months.\n", 2, "two")
    best, *_ = await library.ask("official", 2)
    assert (best.document, best.text) == ("one", "# Kettles\n\nThe ffix is official.")


@pytest.mark.case("doc-pdf-and-ligatures")
async def test_text_with_nul_characters_is_refused_with_the_reason(library: Library) -> None:
    with pytest.raises(DocumentUnreadable, match="binary data"):
        await library.put(b"# Kettles\n\nThe of\0ficial one.\n", 1, "one")


async def test_a_question_of_invisible_characters_finds_nothing(library: Library) -> None:
    await library.put("# Kettles\n\nThe warranty lasts 31 months.\n", 1)
    assert await library.ask("\u200b\u2060", 1) == []


async def test_a_passage_knows_its_page(library: Library) -> None:
    await library.put(make_pdf(["The warranty lasts 31 months.", "Care for it."]), 1, filename="k2.pdf")
    (passage,) = await library.ask("warranty", 1)
    assert (passage.page, passage.heading) == (1, "")


@pytest.mark.case("doc-long-line")
async def test_what_stands_behind_a_long_line_is_found(library: Library) -> None:
    line = "".join(f"{(n * 2654435761) % 2**32:08x}" for n in range(5_000))
    await library.put(f"{line} The service code of the kettle is 4471.", 1, "dump", filename="dump.txt")
    paths = ",".join(f"/v1/parts/{n}/drawings/{n * 7919 % 10007}" for n in range(1_500))
    await library.put(f"# Paths\n\n{paths},/v1/kestrel/warranty\n", 2, "paths")
    found = await library.ask("service code of the kettle", 2)
    assert "4471" in found[0].text
    every = await library.ask("service code kestrel warranty parts drawings", 2, limit=10_000)
    assert any("/v1/kestrel/warranty" in passage.text for passage in every)
    assert max(len(passage.text) for passage in every) < 1_000


@pytest.mark.case("doc-legacy-encodings")
async def test_a_page_in_an_older_encoding_is_found_by_its_words(library: Library) -> None:
    page = (
        "<html><head><meta http-equiv='Content-Type' content='text/html; charset=windows-1251'><title>Цены</title>"
        "<script>var hidden='скрипт';</script></head><body><h1>Гарантия</h1>"
        "<table><tr><th>Модель</th><th>Срок</th></tr><tr><td>К2</td><td><p>19</p><p>месяцев</p></td></tr>"
        "<tr><td>К7</td><td>31 месяц</td></tr></table></body></html>"
    )
    await library.put(page.encode("windows-1251"), 1, filename="price.html")
    (passage,) = await library.ask("Гарантия К2 месяцев", 1)
    assert passage.text == "# Гарантия\n\nМодель | Срок\nК2 | 19 месяцев\nК7 | 31 месяц"


async def test_a_document_that_was_read_ahead_is_not_read_and_embedded_again(
    tmp_path: Path, embedder: WordEmbedder
) -> None:
    async with open_library("embedded", tmp_path, embedder) as library:
        await library.put("# One\n\nThe first.", 1, "one")
        path = tmp_path / "two-2"
        path.write_text("# Two\n\nThe second.")
        request = library.request("two", 2)
        await library.index.read_ahead(request)
        await until(lambda: len(embedder.texts) == 2)
        path.write_bytes(b"")  # it is read no more
        done = await library.ingest(request)
        assert (done.chunks, done.embedded, len(embedder.texts)) == (1, 1, 2)
        assert await library.facts(2) == {"The first.", "The second."}
        again = library.request("two", 3)
        Path(again.path).write_bytes(b"")
        await library.index.read_ahead(again)
        with pytest.raises(DocumentUnreadable, match="empty"):
            await library.ingest(again)
        for number in range(20):  # what is never ingested is given up
            await library.index.read_ahead(library.request(f"none{number}", 4))


class GatedEmbedder(WordEmbedder):
    """Embeds no passage before `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.gate = threading.Event()

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        self.begun.set()
        self.gate.wait(60)
        return super().embed_passages(texts)


async def test_an_edit_is_embedded_before_other_documents_that_wait(tmp_path: Path) -> None:
    embedder = GatedEmbedder()
    async with open_library("embedded", tmp_path, embedder) as library:

        def put(store: str, *, urgent: bool = False) -> "asyncio.Task[IngestResult]":
            return asyncio.create_task(library.put(f"Of {store}.", 1, store, store=store, urgent=urgent))

        async def have_waiting(number: int) -> bool:
            return (await library.index.read_queues()).batches == number

        tasks = [put("first")]
        await until(embedder.begun.is_set)
        tasks.append(put("upload"))
        await until(partial(have_waiting, 1))
        tasks.append(put("edit", urgent=True))
        await until(partial(have_waiting, 2))
        embedder.gate.set()
        await asyncio.gather(*tasks)
    assert [text.split()[-1] for text in embedder.texts] == ["first.", "edit.", "upload."]


class WideEmbedder(WordEmbedder):
    """Takes many passages at once, as on a GPU, and notes how many there were."""

    batch = 100

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        self.sizes.append(len(texts))
        return super().embed_passages(texts)


class PairEmbedder(WordEmbedder):
    """Takes two batches at once, and ends the second of two before the first."""

    concurrency = 2

    def __init__(self) -> None:
        super().__init__()
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()
        self._second = threading.Event()

    def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            first = self.under_way == 1
        if first:
            self._second.wait(0.05)
        else:
            self._second.set()
        with self._lock:
            self.under_way -= 1
        return super().embed_passages(texts)


async def test_two_batches_at_once_leave_each_chunk_its_own_vector(tmp_path: Path) -> None:
    words = "kettle lid base warranty steel glass filter scale switch cord handle".split()
    sections = [f"# The {word}\n\nThe {word} is number {n}." for n, word in enumerate(words)]
    embedder = PairEmbedder()
    async with open_library("embedded", tmp_path, embedder) as library:
        done = await library.put("\n\n".join(sections), 1)
        found = [(await library.ask(f"The {word} is number {n}.", 1, limit=1))[0] for n, word in enumerate(words)]
    assert done.embedded == len(words)
    assert embedder.most_under_way == 2
    assert [hit.heading.split(" > ")[-1] for hit in found] == [f"The {word}" for word in words]


async def test_a_batch_that_fails_ends_its_ingest_and_the_one_beside_it(tmp_path: Path) -> None:
    embedder = PairEmbedder()
    async with open_library("embedded", tmp_path, embedder) as library:

        def fail(texts: Sequence[str]) -> list[list[float]]:
            raise EmbedderOutOfMemory("no memory")

        embedder.embed_passages = fail
        with pytest.raises(EmbedderOutOfMemory, match="no memory"):
            await library.put("\n\n".join(f"# Part {n}\n\nThis is part {n}." for n in range(40)), 1)
        del embedder.embed_passages
        assert (await library.put("# Whole\n\nNow it works.", 2)).embedded == 1


async def test_a_document_is_embedded_in_batches_of_the_embedders_size(tmp_path: Path) -> None:
    embedder = WideEmbedder()
    async with open_library("embedded", tmp_path, embedder) as library:
        text = "\n\n".join(f"# Part {n}\n\nThis is part {n} of it." for n in range(130))
        done = await library.put(text, 1)
    assert done.chunks == 130
    assert embedder.sizes == [100, 30]


async def test_documents_of_one_title_are_told_apart_as_long_as_both_are_there(library: Library) -> None:
    manual = "# User manual\n\n## Warranty\n\nThe warranty lasts {months} months.\n"
    await library.put(manual.format(months=19), 1, document="oslo")
    assert {passage.title for passage in await library.ask("warranty", 1)} == {"User manual > Warranty"}
    await library.put(manual.format(months=31), 2, document="bergen")
    await library.put(KETTLE.format(months=12), 3)
    titles = {passage.document: passage.title for passage in await library.ask("warranty months", 3, limit=9)}
    assert titles["oslo"] == "User manual (oslo) > Warranty"
    assert titles["bergen"] == "User manual (bergen) > Warranty"
    assert titles["k2"].startswith("Kestrel K2 > ")
