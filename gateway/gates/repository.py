from gateway.db import Repository
from gateway.gates.tables import GateRow

__all__ = ["GateRepository"]


class GateRepository(Repository[GateRow]):
    table = GateRow
    noun = "gate"

    async def find_of(self, assistant: str, number: int) -> GateRow | None:
        return await self.one(GateRow.assistant_id == assistant, GateRow.number == number)

    async def lock(self, id: str) -> GateRow | None:
        """Find a gate as it is now, and keep others from changing it until the unit of work ends."""
        return (await self.session.scalars(self.select_for_update(GateRow.id == id))).one_or_none()
