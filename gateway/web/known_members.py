"""The members that an object of a request may have, for an error about one that it can't."""

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

__all__ = ["list_members"]


def list_members(form: Any, path: Sequence[str | int]) -> list[str]:
    """Return the names that the object at a path may have, sorted.

    Args:
        form: The annotation of the whole body: a model, or a union, list or mapping of some.
        path: The steps from the body to the object, as pydantic has them: in a union the first is its branch's label.
    """
    forms = list(_split(form))
    for step in path:
        if len(forms) > 1:
            forms = [one for one in forms if _has_label(one, step)]
        else:
            forms = [branch for one in forms for branch in _split(_step_into(one, step))]
    models = [one for one in forms if isinstance(one, type) and issubclass(one, BaseModel)]
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


def _split(form: Any) -> Iterator[Any]:
    """Give the branches of a union, or the form itself, without what else is said about it; none for null."""
    if get_origin(form) is Annotated:
        yield from _split(get_args(form)[0])
    elif get_origin(form) in (Union, UnionType):
        for branch in get_args(form):
            yield from _split(branch)
    elif form is not type(None):
        yield form


def _has_label(form: Any, label: str | int) -> bool:
    """Tell whether pydantic calls a branch so: by what a member of it always is, by its class, or by its kind."""
    if isinstance(form, type) and issubclass(form, BaseModel):
        members = (field.annotation for field in form.model_fields.values())
        kinds = [kind for member in members if get_origin(member) is Literal for kind in get_args(member)]
        return label == form.__name__ or label in kinds
    origin = get_origin(form)
    return origin is not None and str(label).startswith(f"{getattr(origin, '__name__', '')}[")


def _step_into(form: Any, step: str | int) -> Any:
    """Return the form of one member or item; None where there is none."""
    if isinstance(form, type) and issubclass(form, BaseModel):
        return next(
            (field.annotation for name, field in form.model_fields.items() if step in (field.alias, name)), None
        )
    inner = get_args(form)
    return inner[-1] if inner else None  # a list's items, or a mapping's values
