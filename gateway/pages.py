"""A page of a list as OpenAI's lists have it, by ids as cursors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, Self, TypeVar

from pydantic import BaseModel

__all__ = ["CursorPage", "PageRequest"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a client asks for: at most `limit` items after one id, or before another."""

    limit: int
    order: Literal["asc", "desc"]
    after: str | None
    before: str | None


class _RowWithId(Protocol):
    @property
    def id(self) -> object: ...


class _Page(Protocol):
    @property
    def rows(self) -> Sequence[_RowWithId]: ...

    @property
    def has_more(self) -> bool: ...


class CursorPage(BaseModel, Generic[Item]):
    """The list object: items, the first and last one's ids, and whether another page follows."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, data: list[Item], page: _Page) -> Self:
        """Make the list object of a page of rows; `data` are its items, one per row."""
        ids = [str(row.id) for row in page.rows]
        return cls(
            data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=page.has_more
        )
