from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.db import Repository, cut_slices
from gateway.errors import NotFound

__all__ = ["AssistantRepository", "ReleaseRepository", "RolloutRepository", "list_serving"]


class AssistantRepository(Repository[AssistantRow]):
    table = AssistantRow
    noun = "assistant"

    async def get_by_name(self, name: str) -> AssistantRow:
        row = await self.find_by_name(name)
        if row is None:
            raise NotFound(f"No assistant {name!r} exists. Make it with POST /api/assistants.", param="name")
        return row

    async def find_by_name(self, name: str) -> AssistantRow | None:
        return await self.find_one(AssistantRow.name == name)


class ReleaseRepository(Repository[ReleaseRow]):
    table = ReleaseRow
    noun = "release"

    async def list_of(self, assistant: str) -> Sequence[ReleaseRow]:
        query = self.select(ReleaseRow.assistant_id == assistant).order_by(ReleaseRow.number)
        return (await self.session.scalars(query)).all()

    async def find_by_number(self, assistant: str, number: int) -> ReleaseRow | None:
        return await self.find_one(ReleaseRow.assistant_id == assistant, ReleaseRow.number == number)

    async def list_numbered(self, assistant: str, numbers: Collection[int]) -> Sequence[ReleaseRow]:
        query = self.select(ReleaseRow.assistant_id == assistant, ReleaseRow.number.in_(numbers))
        return (await self.session.scalars(query)).all()

    async def list_equal(self, fingerprints: Collection[str]) -> Sequence[ReleaseRow]:
        """List the releases of all of the tenant's assistants that have one of the fingerprints."""
        return (await self.session.scalars(self.select(ReleaseRow.fingerprint.in_(fingerprints)))).all()

    async def find_last_number(self, assistant: str) -> int:
        query = self.select(ReleaseRow.assistant_id == assistant).with_only_columns(func.max(ReleaseRow.number))
        return (await self.session.scalar(query)) or 0


class RolloutRepository(Repository[RolloutRow]):
    table = RolloutRow
    noun = "rollout"

    async def find_current(self, assistant: str) -> RolloutRow | None:
        query = self.select(RolloutRow.assistant_id == assistant).order_by(RolloutRow.revision.desc()).limit(1)
        return (await self.session.scalars(query)).one_or_none()

    async def find_revision(self, assistant: str, revision: int) -> RolloutRow | None:
        return await self.find_one(RolloutRow.assistant_id == assistant, RolloutRow.revision == revision)

    async def list_current(
        self, assistants: Collection[str] | None = None
    ) -> Sequence[tuple[AssistantRow, RolloutRow]]:
        """Return every assistant of the tenant that has a rollout, with its current one; or those of some ids."""
        where = () if assistants is None else (RolloutRow.assistant_id.in_(assistants),)
        newest = (
            self.select(*where)
            .with_only_columns(RolloutRow.assistant_id, func.max(RolloutRow.revision).label("revision"))
            .group_by(RolloutRow.assistant_id)
            .subquery()
        )
        query = (
            AssistantRepository(self.session, self.tenant)
            .select()
            .join(RolloutRow, RolloutRow.assistant_id == AssistantRow.id)
            .join(
                newest,
                (newest.c.assistant_id == RolloutRow.assistant_id) & (newest.c.revision == RolloutRow.revision),
            )
            .add_columns(RolloutRow)
        )
        return [(row[0], row[1]) for row in (await self.session.execute(query)).all()]


async def list_serving(session: AsyncSession) -> set[tuple[str, int]]:
    """List assistants and numbers of the releases in rollouts, or in those that a roll back returns to, of all tenants.

    Releases of the same content are among them, whose gates were theirs too. It is for retention, which has no tenant.
    """
    newest = select(RolloutRow.assistant_id, func.max(RolloutRow.revision).label("revision"))
    newest_of = newest.group_by(RolloutRow.assistant_id).subquery()
    before = aliased(RolloutRow)
    query = (
        select(RolloutRow.assistant_id, RolloutRow.stages, before.stages)
        .join(
            newest_of,
            (newest_of.c.assistant_id == RolloutRow.assistant_id) & (newest_of.c.revision == RolloutRow.revision),
        )
        .outerjoin(before, (before.assistant_id == RolloutRow.assistant_id) & (before.revision == RolloutRow.previous))
    )
    serving = {
        (assistant, int(stage["release"]))
        for assistant, stages, earlier in (await session.execute(query)).all()
        for stage in (*stages, *(earlier or ()))
    }
    columns = (ReleaseRow.assistant_id, ReleaseRow.number, ReleaseRow.fingerprint)
    contents: set[str] = set()
    for some in cut_slices({assistant for assistant, _ in serving}):
        rows = await session.execute(select(*columns).where(ReleaseRow.assistant_id.in_(some)))
        contents |= {fingerprint for assistant, number, fingerprint in rows.all() if (assistant, number) in serving}
    for some in cut_slices(contents):
        rows = await session.execute(select(*columns).where(ReleaseRow.fingerprint.in_(some)))
        serving |= {(assistant, number) for assistant, number, _ in rows.all()}
    return serving
