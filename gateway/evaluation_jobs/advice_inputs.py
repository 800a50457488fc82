"""The rows that an advice is made from, as its job gets them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import find_ready
from gateway.conversations import UnusableFile
from gateway.conversations.conversation import Conversation
from gateway.conversations.formats import read_conversations
from gateway.counts import format_count
from gateway.errors import BadRequest, NotFound
from gateway.prompts.service import get_prompt
from gateway.prompts.variables import check_variables

__all__ = ["LEAST_CONVERSATIONS", "AdviceInputs", "check_adapter", "pin_prompt", "read_advice_rows"]

LEAST_CONVERSATIONS = 20
"""Half of them are asked, and fewer than ten decide nothing."""


class AdviceInputs(msgspec.Struct, frozen=True):
    """The inputs of an advice.

    Attributes:
        conversations: Those that end with a reply to a user.
        rows: The most that are asked.
        adapter: The client's name of an adapter of the tenant's; None where there is none yet.
        prompt: A prompt of the tenant's, `name@version`, for the ways that have one; None for the rows' system texts.
        variables: The values of the prompt's own names.
    """

    conversations: list[Conversation]
    rows: int
    adapter: str | None
    prompt: str | None = None
    variables: dict[str, Any] = {}


def read_advice_rows(data: bytes, filename: str) -> list[Conversation]:
    """Read the conversations of a file, of any format that a style can be learnt from, that end with a reply.

    Raises:
        BadRequest: The file can't be read, or has too few of them.
    """
    try:
        _, content = read_conversations(data)
    except UnusableFile as error:
        raise BadRequest(f"{filename}: {error}", param="file_id", code="invalid_rows") from error
    rows = [one for one in content.conversations if _ends_with_reply(one)]
    if len(rows) < LEAST_CONVERSATIONS:
        raise BadRequest(
            f"{filename} has {format_count(len(rows), 'conversation')} with a reply to a user at the end, and "
            f"{LEAST_CONVERSATIONS} are the fewest that tell anything.{_describe_problems(content.problems)} 'braid "
            "styles check' shows all that "
            "is wrong in a file.",
            param="file_id",
            code="too_few_rows",
        )
    return rows


async def check_adapter(session: AsyncSession, tenant: str, model: str) -> None:
    """Check that an adapter of the tenant's is ready, before anybody waits for an advice on it.

    Raises:
        NotFound: It isn't.
    """
    if await find_ready(session, tenant, model) is None:
        raise NotFound(f"No adapter {model!r} is ready. GET /api/adapters lists yours.", param="adapter")


async def pin_prompt(
    session: AsyncSession, tenant: str, reference: str | None, variables: Mapping[str, Any]
) -> str | None:
    """Return the `name@version` of a prompt, of a bare name the newest; None where none is named.

    Raises:
        NotFound: There is no such prompt.
        BadRequest: Names of its own have no values, or there are others.
    """
    row = await get_prompt(session, tenant, reference) if reference is not None else None
    check_variables(row.template if row else None, variables, reference=reference, param="variables")
    return None if row is None else f"{row.name}@{row.version}"


def _ends_with_reply(conversation: Conversation) -> bool:
    messages = conversation.messages
    return len(messages) > 1 and messages[-1].is_target and messages[-2].role == "user"


def _describe_problems(problems: Sequence[object]) -> str:
    return f" {len(problems)} can't be used." if problems else ""
