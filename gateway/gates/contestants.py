"""The contestants of a gate: the candidate, the release that serves now, and the base model."""

from typing import Literal

import msgspec
from msgspec.structs import replace

import prompts
from gateway.answering.question import Question
from gateway.answering.resolve import Resolver, Target
from gateway.gates.tables import GateRow

__all__ = ["Contestant", "Contestants", "find_contestants"]

_BUILTIN = prompts.compile(prompts.DEFAULT).digest


class Contestant(msgspec.Struct, frozen=True):
    """One of them, by its name in the report and its name for people."""

    name: Literal["candidate", "current", "base"]
    label: str
    target: Target

    @property
    def bare(self) -> Target:
        """The model alone, without the release's prompt and passages."""
        target = self.target
        return Target(target.engine_model, target.adapter, chat_template_kwargs=target.chat_template_kwargs)

    @property
    def prompted(self) -> Target:
        """The model behind the release's prompt, without passages; bare where the prompt is none of its tenant's."""
        prompt = self.target.prompt
        return self.bare if prompt is None or prompt.digest == _BUILTIN else replace(self.target, retrieval=None)


class Contestants(msgspec.Struct, frozen=True):
    """The candidate, the current release (None where there is none), and the base with the candidate's prompt."""

    candidate: Contestant
    current: Contestant | None
    base: Contestant

    @property
    def baseline(self) -> Contestant:
        """The one that the candidate must not fall behind."""
        return self.current or self.base

    @property
    def faithful_baseline(self) -> Contestant:
        """The same for passages: a release that searches for none can't be asked what it makes of them."""
        current = self.current
        return current if current is not None and current.target.retrieval is not None else self.base

    @property
    def compares_style(self) -> bool:
        """Whether the current release has a style that the candidate must not lose."""
        return self.current is not None and self.current.target.adapter is not None

    @property
    def has_own_prompt(self) -> bool:
        """Whether the candidate's prompt is its tenant's, so that it may take away what the model does by itself."""
        return self.candidate.prompted != self.candidate.bare

    def list_all(self) -> list[Contestant]:
        return [one for one in (self.candidate, self.current, self.base) if one is not None]


async def find_contestants(
    resolver: Resolver, tenant: str, assistant: str, row: GateRow, base_model: str
) -> Contestants:
    """Find what a gate compares.

    Raises:
        NotFound: A part of a release isn't there any more.
    """
    candidate = await _resolve(resolver, tenant, f"{assistant}@{row.number}", base_model)
    base = replace(candidate, engine_model=base_model, adapter=None, chat_template_kwargs=None, fingerprint=None)
    current: Contestant | None = None
    if row.against is not None:
        label = f"{assistant}@{row.against}"
        current = Contestant("current", label, await _resolve(resolver, tenant, label, base_model))
    return Contestants(
        Contestant("candidate", f"{assistant}@{row.number}", candidate), current, Contestant("base", base_model, base)
    )


async def _resolve(resolver: Resolver, tenant: str, model: str, base_model: str) -> Target:
    return await resolver.resolve(tenant, Question("gate", model, (), {}), base_model)
