from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import defer

from gateway.db import Page, Repository
from gateway.errors import NotFound
from gateway.prompts.tables import PromptRow

__all__ = ["PromptRepository"]

_MAX_DIGITS = 18  # of a version, so that it is a number to any database


class PromptRepository(Repository[PromptRow]):
    table = PromptRow
    noun = "prompt"

    async def find_last_version(self, name: str) -> int:
        """Return the newest version's number, 0 where the name is new."""
        query = self.select(PromptRow.name == name).with_only_columns(func.max(PromptRow.version))
        return (await self.session.scalar(query)) or 0

    async def list_page(self, *where: ColumnElement[bool], **cursors: Any) -> Page[PromptRow]:
        """Return one page of versions without their templates, which are long."""
        return await super().list_page(*where, options=(defer(PromptRow.template, raiseload=True),), **cursors)

    async def get_by_reference(self, reference: str, *, param: str = "prompt") -> PromptRow:
        """Find `name@version`; a bare `name` is its newest version.

        Raises:
            NotFound: There is no such prompt or version.
        """
        name, _, version = reference.partition("@")
        is_number = version.isascii() and version.isdecimal() and len(version) <= _MAX_DIGITS
        number = int(version) if is_number else await self.find_last_version(name) if not version else 0
        row = await self.find_one(PromptRow.name == name, PromptRow.version == number)
        if row is None:
            raise NotFound(
                f"No prompt {reference!r} exists. Make one with POST /api/prompts, or list them with GET /api/prompts.",
                param=param,
            )
        return row
