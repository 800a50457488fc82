from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from gateway.vector_stores.schemas import Attributes

__all__ = [
    "ORIGIN",
    "Bucket",
    "Folder",
    "Origin",
    "Repository",
    "Site",
    "Source",
    "SourceCreate",
    "SourceDeleted",
    "SourceError",
    "SourceItem",
    "SourceItemList",
    "SourceList",
    "SourceSync",
]

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Patterns = Annotated[list[Pattern], Field(max_length=100)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class _Strict(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")


class Folder(_Strict):
    """A folder of the worker's machine, below one that the operator allows; `watch`: a change is seen at once."""

    kind: Literal["folder"]
    path: Place
    watch: bool = True


class Repository(_Strict):
    """A git repository by its https address. `branch`: a branch, else a tag, else a commit's whole id; null: the branch
    that it names itself.
    """

    kind: Literal["git"]
    url: Place
    branch: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class Site(_Strict):
    """A web site, from a page on, or by a list of pages (a sitemap, `llms.txt`); `depth` of links where it has none."""

    kind: Literal["web"]
    url: Place
    depth: Annotated[int, Field(ge=0, le=10)] = 3
    pages: Annotated[int, Field(ge=1, le=10_000)] = 500


class Bucket(_Strict):
    """A place in an S3-compatible store, `s3://bucket/prefix`, in one that the operator allows."""

    kind: Literal["s3"]
    url: Place


Origin = Annotated[Folder | Repository | Site | Bucket, Field(discriminator="kind")]
ORIGIN: TypeAdapter[Folder | Repository | Site | Bucket] = TypeAdapter(Origin)


class SourceCreate(_Strict):
    """A source that feeds a store.

    Its documents are called `prefix` + the item's path; the default prefix is the name and a slash. `include` and
    `exclude` are patterns of `.gitignore`. Pages of a site
    have the attribute `url` besides. `interval_seconds` is the schedule's, null: it is synchronised when asked.
    """

    name: Name
    vector_store_id: str
    origin: Origin
    prefix: Annotated[str, StringConstraints(max_length=200)] | None = None
    include: Patterns = Field(default_factory=list)
    exclude: Patterns = Field(default_factory=list)
    hidden: bool = False
    attributes: Annotated[Attributes, Field(max_length=15)] = Field(default_factory=dict)
    interval_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = 3600


class SourceSync(_Strict):
    """`confirm_deletions`: so many items may be deleted, even if they are more than half, or all."""

    confirm_deletions: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class SourceError(BaseModel):
    code: str
    message: str


class Source(BaseModel):
    """A source and its last sync.

    Of its `items`, `failed` couldn't be read last, or their documents couldn't; `error` names one of them then
    (`items_failed`). `done` of `total` changed items were put by the sync that runs, or ran last; a sync doesn't wait
    until their documents answer: so many are still `reading`. `deletions` wait to be confirmed where `status` is
    `needs_confirmation`. `revision` is the source's own version, such as a commit.
    """

    id: str
    object: Literal["source"] = "source"
    created_at: int
    name: str
    vector_store_id: str
    origin: dict[str, Any]
    prefix: str
    include: list[str]
    exclude: list[str]
    hidden: bool
    attributes: dict[str, Any]
    interval_seconds: int | None
    status: Literal["waiting", "syncing", "synced", "failed", "needs_confirmation", "removing"]
    error: SourceError | None
    items: int
    failed: int
    reading: int
    done: int
    total: int
    deletions: int
    revision: str | None
    job: str | None
    started_at: int | None
    synced_at: int | None
    next_sync_at: int | None


class SourceList(CursorPage[Source]):
    pass


class SourceItem(BaseModel):
    """An item and its document; `error` is why it couldn't be read, or its document's.

    `status`: `pending` (never put), `in_progress`, `completed`, `failed`, `cancelled` as documents have it, or
    `missing`: its document was deleted, and is put again by the next sync.
    """

    id: str
    key: str
    document_key: str
    version: str | None
    digest: str | None
    status: Literal["pending", "in_progress", "completed", "failed", "cancelled", "missing"]
    error: str | None
    failures: int
    retry_at: int | None


class SourceItemList(CursorPage[SourceItem]):
    pass


class SourceDeleted(BaseModel):
    """The source is gone; `job` deletes its documents, and is null where they stay."""

    id: str
    object: Literal["source.deleted"] = "source.deleted"
    deleted: bool = True
    job: str | None
