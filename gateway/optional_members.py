"""Bodies in which null stands for a member that isn't given."""

from functools import cache
from typing import Any, cast, get_args

from pydantic import BaseModel, model_validator

__all__ = ["NullsLeftOut"]


class NullsLeftOut(BaseModel):
    """A part of a request in which a member that is null is as one that isn't there.

    Clients in languages without optional members write all that they know, with null for what nobody has set, and
    proxies do so for clients that don't. OpenAI has null in some members' types and not in others; the default is meant
    in both. What has to be there is still missing where it is null, and a member that nobody knows is still unknown.
    """

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        members = cast("dict[str, Any]", value)
        if None not in members.values():
            return members
        optional = _list_optional(cls)
        return {name: one for name, one in members.items() if one is not None or name not in optional}


@cache
def _list_optional(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the members with a default, but for those in which null says something.

    That is where a type takes null beside another default: a source's interval of null is none, and not an hour.
    """
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if not field.is_required() and type(None) not in get_args(field.annotation)
    )
