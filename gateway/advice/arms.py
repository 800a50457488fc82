"""The arms that an advice compares: a way to a style, with the tenant's documents or without."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.answering.question import Message
from gateway.gates.held_out_rows import HeldOutRow

__all__ = ["LADDER", "Arm", "PromptKit", "Style", "list_arms", "make_messages"]

Style = Literal["none", "prompt", "guide", "few-shot", "adapter"]
LADDER: tuple[Style, ...] = ("none", "prompt", "guide", "few-shot", "adapter")
"""The ways to a style, the one that costs least to have first."""

_WITH_PROMPT: tuple[Style, ...] = ("prompt", "guide", "few-shot")
"""Those that have the tenant's prompt, where one was named: the base has none, an adapter that of its training."""

_LABELS: Mapping[Style, str] = {
    "none": "the base model alone",
    "prompt": "your system text",
    "guide": "a style guide in the prompt",
    "few-shot": "three examples in the prompt",
    "adapter": "the style adapter",
}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer.

    Attributes:
        style: The way to the style.
        facts: Whether passages of the tenant's documents stand in the prompt.
        prompt: The tenant's prompt (`name@version`) that it is asked with; "" for none. An advice has one at most, so
            that arms are the same without.
    """

    style: Style
    facts: bool
    prompt: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The arm's name in the report: `base`, `few-shot`, `facts`, `few-shot+facts`."""
        if self.style == "none":
            return "facts" if self.facts else "base"
        return f"{self.style}+facts" if self.facts else self.style

    @property
    def label(self) -> str:
        """The arm's name for people."""
        label = f"your prompt {self.prompt}" if self.style == "prompt" and self.prompt else _LABELS[self.style]
        if not self.facts:
            return label
        return f"{'the base model' if self.style == 'none' else label} with your documents"


@dataclass(frozen=True, slots=True)
class PromptKit:
    """The texts of the arms that live in the prompt: the guide ("" where no rules could be learnt), and examples."""

    guide: str
    examples: Sequence[tuple[str, str]]


def list_arms(
    *, has_system: bool, kit: PromptKit, adapter: bool, facts: bool, prompt: str = ""
) -> tuple[list[Arm], dict[str, str]]:
    """Return the arms that can be asked, and for each other one why it can't."""
    reasons: dict[Style, str] = {}
    if not has_system and not prompt:
        reasons["prompt"] = "The conversations have no system text, and no prompt was named."
    if not kit.guide:
        reasons["guide"] = "The half to learn from has too few replies to learn rules from."
    if not kit.examples:
        reasons["few-shot"] = "The half to learn from has no conversation that is short enough for an example."
    if not adapter:
        reasons["adapter"] = "No adapter was named. The estimate says what training one would cost."
    arms: list[Arm] = []
    missing: dict[str, str] = {}
    for with_facts in (False, True):
        for style in LADDER:
            arm = Arm(style, with_facts, prompt if style in _WITH_PROMPT else "")
            if style in reasons:
                missing[arm.name] = reasons[style]
            elif with_facts and not facts:
                missing[arm.name] = "No documents were given, and the conversations have no passages."
            else:
                arms.append(arm)
    return arms, missing


def make_messages(arm: Arm, row: HeldOutRow, kit: PromptKit) -> list[Message]:
    """Return a row's conversation as an arm asks it; all but the base have the row's own system text."""
    turns = [one for one in row.messages if one.role != "system"]
    if arm.style == "none":
        return turns
    system = [one.content or "" for one in row.messages if one.role == "system"]
    if arm.style == "guide":
        system.append(kit.guide)
    messages = [Message("system", "\n\n".join(system))] if system else []
    if arm.style == "few-shot":
        for question, reply in kit.examples:
            messages += [Message("user", question), Message("assistant", reply)]
    return messages + turns
