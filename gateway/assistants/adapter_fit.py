"""A release held against what its adapter was trained with: the prompt of its rows, and the base's chat template."""

from collections.abc import Iterator

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import find_ready
from gateway.assistants.release import ReleaseSpec
from gateway.assistants.schemas import ReleaseWarning
from gateway.errors import Conflict
from training.rendered_rows import RowPrompt

__all__ = ["check_fit"]

_UNPROVEN = ReleaseWarning(
    code="prompt_unproven",
    message="No engine said whether the adapter's rows have the prompts that requests have: an earlier Braid trained "
    "it, or the engine makes no tokens of chats. Hold the release against the base with a gate, or train the adapter "
    "again.",
)


async def check_fit(session: AsyncSession, tenant: str, spec: ReleaseSpec) -> list[ReleaseWarning]:
    """Return the differences that a release may have: prompts change in a moment, and adapters don't.

    Nothing is known of adapters that were trained elsewhere, or by an earlier Braid.

    Raises:
        Conflict: The base's chat template isn't the one that the adapter has learnt.
    """
    row = spec.adapter and await find_ready(session, tenant, spec.adapter.model)
    if row is None:
        return []
    template = row.manifest.get("chat_template_digest")
    if template and spec.chat_template and template != spec.chat_template:
        raise Conflict(
            f"The adapter {row.model!r} was trained with another chat template ({template[:12]}…) than the base model "
            f"has now ({spec.chat_template[:12]}…), and would read prompts that it never saw. Have the operator put "
            "the old template back, or train the adapter again.",
            param="adapter",
            code="adapter_of_other_template",
        )
    of_rows = row.manifest.get("prompt")
    if of_rows is None:
        return []
    unproven = [] if row.manifest.get("parity") else [_UNPROVEN]
    return [*unproven, *_compare(msgspec.convert(of_rows, RowPrompt), spec)]


def _compare(of_rows: RowPrompt, spec: ReleaseSpec) -> Iterator[ReleaseWarning]:
    digest = spec.prompt.digest if spec.prompt else spec.builtin_prompt if spec.retrieval else ""
    name = f"{spec.prompt.name}@{spec.prompt.version}" if spec.prompt else None
    if digest != of_rows.digest:
        yield ReleaseWarning(
            code="prompt_differs",
            message=f"The adapter's rows were rendered with {_name(of_rows.name, of_rows.digest)}, and this release "
            f"has {_name(name, digest)}. It may follow the new words less well than those that it has learnt: compare "
            "the two, or train it again with braid.prompt.",
        )
    elif digest and of_rows.builtin != spec.builtin_prompt:
        yield ReleaseWarning(
            code="builtin_prompt_differs",
            message="The built-in prompt, whose blocks stand in for those that a prompt leaves out, has changed since "
            "the adapter was trained. Compare its answers, or train it again.",
        )
    names = sorted(name for name in of_rows.variables | spec.variables if _differs(name, of_rows, spec))
    if names and digest == of_rows.digest:
        yield ReleaseWarning(
            code="variables_differ",
            message=f"The prompt's own names {', '.join(names)} have other values than the adapter's rows had.",
        )


def _differs(name: str, of_rows: RowPrompt, spec: ReleaseSpec) -> bool:
    return of_rows.variables.get(name) != spec.variables.get(name)


def _name(reference: str | None, digest: str) -> str:
    if not digest:
        return "no prompt"
    return f"{reference or 'the built-in prompt'} ({digest[:12]}…)"
