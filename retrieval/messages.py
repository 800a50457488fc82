"""The bodies of calls to the retriever, and of their results. Torch-free: the gateway imports this."""

from typing import Any, Literal

from msgspec import Struct

__all__ = [
    "FULL_MATCH",
    "Attribute",
    "ContentRequest",
    "CopyRequest",
    "DocumentsReference",
    "EmbedRequest",
    "Embeddings",
    "HoldRequest",
    "IngestProgress",
    "IngestRequest",
    "IngestResult",
    "MatchFeatures",
    "ParseRequest",
    "ParsedText",
    "Passage",
    "Queues",
    "RetrieverInfo",
    "SearchQuery",
    "StoreAtIndexEpoch",
    "StoreReference",
    "TextPiece",
    "Weights",
    "Writer",
]

Attribute = str | float | bool
"""The value of one document attribute, as in OpenAI's vector store files."""


class Weights(Struct, frozen=True):
    """The shares of meaning and of words in a score, as OpenAI's `hybrid_search` has them: only their ratio counts.

    Attributes:
        embedding: Of the cosine; 0 or more.
        text: Of BM25; 0 or more. One of the two is above 0.
    """

    embedding: float
    text: float


class SearchQuery(Struct, frozen=True, kw_only=True):
    """One question to a tenant's stores.

    Attributes:
        stores: Store id → the index epoch to read it at. No store, no passages.
        filters: OpenAI's comparison or compound filter object over document attributes.
        score_threshold: Passages below it are left out (0..1, see `retrieval.fusion`).
        exclude: Document ids that must not answer.
        weights: The shares of meaning and words; None leaves them to the fusion.
        rerank: Whether the retriever's reranker, if it has one, orders the best passages.
        indexes: The identities of the indexes that the stores' points were written to (`RetrieverInfo.index`); one that
            isn't the retriever's own is refused, since its points aren't here or can't be compared.
    """

    tenant: str
    stores: dict[str, int]
    text: str
    limit: int = 10
    filters: dict[str, Any] | None = None
    score_threshold: float | None = None
    exclude: list[str] = []
    indexes: list[str] = []
    weights: Weights | None = None
    rerank: bool = False


class MatchFeatures(Struct, frozen=True, array_like=True):
    """The ways in which a passage matches a question, each 0..1 and higher for a better match.

    Attributes:
        closeness: The cosine, counted from that of unrelated texts.
        keyword: The share of the BM25 score that the question could reach.
        coverage: The share of the question's words that the passage or its heading has.
        heading: The share that the heading has.
        adjacency: Of neighbours in the question, the share that are neighbours in the passage.
        names: 1, less the share of the question's words that are names, numbers or identifiers which the passage hasn't
            as a whole (`retrieval.question_names`); 0 where the passages have one with another number instead.
        lead_meaning: By how much the best closeness of the search is above the tenth.
        lead_words: Likewise of the best keyword share.
        agreement: 1 where meaning and words find the same best passage, else 0.
    """

    closeness: float = 0.0
    keyword: float = 0.0
    coverage: float = 0.0
    heading: float = 0.0
    adjacency: float = 0.0
    names: float = 0.0
    lead_meaning: float = 0.0
    lead_words: float = 0.0
    agreement: float = 0.0


FULL_MATCH = MatchFeatures(*[1.0] * 9)


class Passage(Struct, frozen=True, kw_only=True):
    """A chunk that answers a question.

    Attributes:
        id: The point's UUID: the same text of the same document in another index epoch has another one.
        text: `parsed_text[start:end]`, in characters, and what is repeated around it.
        lead: Characters of `text` before that: the head of a table or of code that it is cut from.
        tail: Characters of `text` behind that, such as a fence.
        headline: Characters of `text`, at its beginning, that are lines of headings which `heading` says as well; 0
            where there is a `lead`.
        heading: The document's title and the headings above the chunk (`Kestrel K2 > Warranty`), or "".
        name: What tells the document from others with its title, of its file's name, where that is needed; else "".
        page: Number of the page on which it begins, from 1; 0 in a document without pages.
        score: 0..1, comparable between questions; the reranker's, where it was `reranked`.
        match: The ways in which it matches, from which `retrieval.answer_probability` makes a probability.
    """

    id: str
    store: str
    document: str
    key: str
    version: int
    file_id: str
    filename: str
    text: str
    start: int
    end: int
    heading: str
    score: float
    attributes: dict[str, Attribute]
    page: int = 0
    lead: int = 0
    tail: int = 0
    headline: int = 0
    name: str = ""
    match: MatchFeatures = FULL_MATCH
    reranked: bool = False

    @property
    def title(self) -> str:
        """The heading, or else the file's name, with the document's name behind its title: `Manual (k2) > Warranty`."""
        title, separator, rest = (self.heading or self.filename).partition(" > ")
        return f"{title} ({self.name}){separator}{rest}" if self.name else f"{title}{separator}{rest}"

    @property
    def body(self) -> str:
        """The text without its headline, for whoever shows the heading with it; it begins at `start + headline`."""
        return self.text[self.headline :]


class Writer(Struct, frozen=True):
    """The credentials of a call that changes a store.

    Attributes:
        index: The identity of the index that it means to write to.
        fence: Grows with each writer of the store; the retriever refuses one that is smaller than one it has seen.
    """

    index: str
    fence: int


class IngestRequest(Struct, frozen=True, kw_only=True):
    """One version of one document, to become visible at `index_epoch`.

    Attributes:
        path: The bytes, readable by the retriever process.
        index_epoch: The store's present index epoch + 1. Only one ingest may write an index epoch of a store.
        max_chunk_tokens: In the embedder's tokens; held below its window, since it can't see further.
        overlap_tokens: Tokens that a chunk repeats of the one before it, at most half a chunk.
        writer: None where one process alone writes, which nobody needs to be told from.
        urgent: It goes before others, of whatever tenant: an edit that its owner looks for.
    """

    tenant: str
    store: str
    document: str
    key: str
    version: int
    file_id: str
    filename: str
    path: str
    index_epoch: int
    attributes: dict[str, Attribute] = {}
    max_chunk_tokens: int = 160
    overlap_tokens: int = 0
    writer: Writer | None = None
    urgent: bool = False


class IngestResult(Struct, frozen=True, kw_only=True):
    """The sums of an ingest: `embedded` + `reused` = `chunks`; `characters` of parsed text; `seconds` in all.

    `warnings` say what of the document was left out, as sentences: some twenty at most. `chunker` is the identity of
    what made the chunks: cutter, window and parser, each with its version.
    """

    chunks: int
    embedded: int
    reused: int
    characters: int
    media_type: str
    seconds: float
    warnings: list[str] = []
    chunker: str = ""


class IngestProgress(Struct, frozen=True):
    """One step of an ingest: characters parsed, then chunks made, embedded and written, `done` of `total`."""

    stage: Literal["parsed", "chunked", "embedded", "written"]
    done: int
    total: int


class RetrieverInfo(Struct, frozen=True, kw_only=True):
    """The retriever and its index.

    Attributes:
        embedder: The identity of the embedder, which is part of a release's digest.
        dimensions: The size of its vectors.
        points: The number of points of all tenants, in every index epoch.
        index: The identity of the index: another one has other points, or vectors that can't be compared.
        ranking: The versions of what ranks, keyword encoder and fusion, which are part of a release's digest as well.
        chunker: The identity of what reads and cuts documents, all parsers together: another one might make other
            chunks of the same bytes.
        chunkers: The same with one parser each (`IngestResult.chunker`): a document that was cut by none of these might
            get other chunks now.
        matryoshka: Whether the embedder's vectors may be cut, by what its model says of itself.
        problem: The reason why no document can be written now; "" where none is known.
    """

    embedder: str
    dimensions: int
    points: int
    index: str
    chunker: str
    ranking: str = ""
    matryoshka: bool = False
    chunkers: list[str] = []
    problem: str = ""

    @property
    def present_chunkers(self) -> list[str]:
        """The chunkers whose chunks are as they would be now; the first is of documents that none can read."""
        return [self.chunker, *self.chunkers]

    @property
    def model(self) -> str:
        """The embedder's name: its identity without the digest."""
        return self.embedder.rpartition("-")[0] or self.embedder


class Queues(Struct, frozen=True):
    """A retriever's work at this moment.

    Attributes:
        searches: Under way, of all callers; beyond 128 they are refused.
        questions: Of these, those that wait for their turn at the embedder.
        ingests: Documents that are being read and written.
        embeddings: Requests of clients for vectors, under way; beyond 16 they are refused.
        batches: Of documents and of clients' texts, that wait for their turn at the embedder.
        ahead: Batches of documents that aren't written yet.
    """

    searches: int
    questions: int
    ingests: int
    embeddings: int
    batches: int
    ahead: int


class StoreReference(Struct, frozen=True):
    tenant: str
    store: str
    writer: Writer | None = None


class StoreAtIndexEpoch(Struct, frozen=True):
    tenant: str
    store: str
    index_epoch: int
    writer: Writer | None = None


class DocumentsReference(Struct, frozen=True):
    tenant: str
    store: str
    documents: list[str]
    index: str | None = None


class ContentRequest(Struct, frozen=True, kw_only=True):
    """A document's text as a reader of its store at `index_epoch` finds it, from the character `start` on.

    With `end`, only chunks that begin before it.
    `indexes` are as in `SearchQuery`.
    """

    tenant: str
    store: str
    document: str
    index_epoch: int
    start: int = 0
    end: int | None = None
    indexes: list[str] = []


class TextPiece(Struct, frozen=True):
    """A chunk's text without what the chunk before it has too, and where it begins and ends, in characters.

    `text` is exactly what is between them; `lead` and `tail` are what it needs around it to be read alone, as in
    `Passage`, and so are `heading`, `headline` and `body`.
    """

    start: int
    end: int
    text: str
    heading: str = ""
    lead: str = ""
    tail: str = ""
    headline: int = 0

    @property
    def body(self) -> str:
        return self.text[self.headline :]


class ParseRequest(Struct, frozen=True):
    """A file to parse as an ingest would, its bytes at `path` readable by the retriever process; nothing is kept."""

    path: str
    filename: str


class ParsedText(Struct, frozen=True):
    """The text of a file, its first three million characters at most: what a frame holds."""

    text: str


class HoldRequest(Struct, frozen=True):
    """A wish that changes of the index wait until they are resumed, and `seconds` at most; searches go on."""

    seconds: float


class CopyRequest(Struct, frozen=True):
    """A wish to copy the index, whose changes are on hold, into the new folder `folder`."""

    folder: str


class EmbedRequest(Struct, frozen=True):
    """Texts to embed as documents are.

    `first` is the number of the first among those of its caller: errors count from there.
    """

    texts: list[str]
    first: int = 0


class Embeddings(Struct, frozen=True):
    """Vectors of length 1, each as 32-bit floats, little-endian, and the number of tokens of each text."""

    vectors: list[bytes]
    tokens: list[int]
