from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.optional_members import NullsLeftOut

__all__ = [
    "IndexMigration",
    "IndexMigrationCreate",
    "IndexMigrationEvaluate",
    "IndexMigrationEvaluation",
    "IndexMigrationList",
    "IndexMigrationQuestion",
    "IndexMigrationSwap",
    "IndexPlace",
]

Place = Annotated[str, StringConstraints(max_length=2048, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_768, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class IndexPlace(BaseModel):
    """An index: its embedder and its Qdrant server, "" for the packaged one and for the index in the home folder.

    `index` is its identity; null until its retriever has answered.
    """

    embedder: str
    qdrant_url: str
    index: str | None


class IndexMigrationCreate(_Strict):
    """The index to move to, as `BRAID_EMBEDDER` and `BRAID_QDRANT_URL` name it; what is left out stays as it is."""

    embedder: Place | None = None
    qdrant_url: Place | None = None


class IndexMigrationSwap(_Strict):
    """`force` swaps although an evaluation found the target worse.

    With `least_difference`, every store has to have been evaluated, and none may be below it in the difference of
    nDCG@10: 0 means no worse at all, -0.02 a fiftieth.
    """

    force: bool = False
    least_difference: Annotated[float, Field(ge=-1, le=1)] | None = None


class IndexMigrationQuestion(_Strict):
    """A question, and the keys of the documents that answer it."""

    question: Text
    documents: Annotated[list[Name], Field(min_length=1, max_length=100)]


class IndexMigrationEvaluate(_Strict):
    """Labelled questions for one store of any tenant; without them, those that its tenant's users asked, and
    others made from its documents where those are few.
    """

    vector_store_id: Name
    questions: Annotated[list[IndexMigrationQuestion], Field(min_length=1, max_length=200)] | None = None


class IndexMigrationEvaluation(BaseModel):
    """The mean nDCG@10 and recall@5 of the same questions in both indexes.

    Where nobody gave questions, `past_questions` of them come from records of answers, with the documents that those
    cited; others were `generated` from headings where these were fewer than 30. `difference` is that of nDCG@10, target
    less source, with its 95 % interval; `worse` says that all of it is below 0.
    """

    vector_store_id: str
    questions: int
    past_questions: int = 0
    generated: bool = False
    ndcg_source: float
    ndcg_target: float
    recall_source: float
    recall_target: float
    difference: float
    low: float
    high: float
    worse: bool


class IndexMigration(BaseModel):
    """A move of all documents to another index, and how far it is.

    `copying`: searches ask the source. `swapped`: they ask the target, and the source is kept in step, so that a
    rollback loses nothing. `ready` says that the index which isn't asked has every document, so that they can be
    swapped. Of the `missing` documents, `failed` can't be read for it. `vector_stores` are those with documents, which
    can be evaluated, of all tenants: the first thousand. `problem` says why the retriever of the other index fell, with
    its last words, until it is ready.
    """

    id: str
    object: Literal["index_migration"] = "index_migration"
    created_at: int
    source: IndexPlace
    target: IndexPlace
    phase: Literal["copying", "swapped", "cancelling", "finishing", "cancelled", "finished"]
    ready: bool
    documents: int
    missing: int
    failed: int
    stores_behind: int
    vector_stores: list[str]
    evaluations: list[IndexMigrationEvaluation]
    problem: str | None
    swapped_at: int | None
    ended_at: int | None


class IndexMigrationList(BaseModel):
    """The latest moves, newest first."""

    object: Literal["list"] = "list"
    data: list[IndexMigration]
