from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from gateway.optional_members import NullsLeftOut
from gateway.pages import CursorPage
from prompts import MAX_SOURCE

__all__ = ["Prompt", "PromptCreate", "PromptList", "PromptVersion"]


class PromptCreate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
    template: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SOURCE)]


class PromptVersion(BaseModel):
    name: str
    version: int
    digest: str
    created_at: int


class Prompt(PromptVersion):
    template: str


class PromptList(CursorPage[PromptVersion]):
    """Versions, oldest first."""
