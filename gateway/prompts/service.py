"""New versions of prompts, and looking at them. A version never changes."""

import time
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

import prompts
from gateway.db import lock
from gateway.errors import BadRequest, NotFound
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.prompts.repository import PromptRepository
from gateway.prompts.schemas import Prompt, PromptCreate, PromptList, PromptVersion
from gateway.prompts.tables import PromptRow

__all__ = ["PromptService", "get_prompt"]


async def get_prompt(session: AsyncSession, tenant: str, reference: str, *, param: str = "prompt") -> PromptRow:
    """Return a tenant's prompt `name@version`; a bare `name` is its newest version.

    Raises:
        NotFound: There is no such prompt or version; the error names the request's `param`.
    """
    return await PromptRepository(session, tenant).get_by_reference(reference, param=param)


class PromptService:
    """One tenant's prompts."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._prompts = PromptRepository(session, tenant)

    async def create(self, request: PromptCreate) -> Prompt:
        """Keep the next version of a prompt; a template that can't be compiled is refused with its line."""
        try:
            template = prompts.compile(request.template)
        except prompts.TemplateInvalid as error:
            raise BadRequest(str(error), param="template", code="invalid_template") from None
        # Of clients that keep versions at the same time each gets a number, and the list has them in that order.
        await lock(self._session, f"prompt {self._tenant} {request.name}")
        version = await self._prompts.find_last_version(request.name) + 1
        row = PromptRow(
            id=new_id("prompt_"),
            created_at=int(time.time()),
            name=request.name,
            version=version,
            template=request.template,
            digest=template.digest,
        )
        self._prompts.add(row)
        return _schema(row)

    async def list(self, request: PageRequest) -> PromptList:
        page = await self._prompts.list_page(**asdict(request))
        return PromptList.of([_version(row) for row in page.rows], page)

    async def list_versions(self, name: str, request: PageRequest) -> PromptList:
        page = await self._prompts.list_page(PromptRow.name == name, **asdict(request))
        if not page.rows and request.after is None and request.before is None:
            raise NotFound(f"No prompt {name!r} exists. Make one with POST /api/prompts.", param="name")
        return PromptList.of([_version(row) for row in page.rows], page)

    async def get(self, reference: str) -> Prompt:
        return _schema(await self._prompts.get_by_reference(reference, param="name"))


def _version(row: PromptRow) -> PromptVersion:
    return PromptVersion(name=row.name, version=row.version, digest=row.digest, created_at=row.created_at)


def _schema(row: PromptRow) -> Prompt:
    return Prompt(
        name=row.name, version=row.version, digest=row.digest, created_at=row.created_at, template=row.template
    )
