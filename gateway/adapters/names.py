"""The two names of an adapter: the one that clients use and the one that the engine knows it by."""

import re

from gateway.errors import BadRequest

__all__ = ["DEFAULT_NAME", "check_name", "client_name", "served_name"]

DEFAULT_NAME = "style"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(name: str, *, param: str) -> str:
    """Return `name`, or raise `BadRequest`: a colon or a dot in it would make two names read as one."""
    if _NAME.fullmatch(name):
        return name
    raise BadRequest(
        f"{name!r} can't become part of a model's name: use 1 to 64 letters, digits, '-' and '_', "
        "beginning with a letter or digit.",
        param=param,
    )


def client_name(base: str, tenant: str, name: str, digest: str) -> str:
    """Make what stands in a request's `model`; `digest` is hex, and 8 digits of it tie the name to its bytes."""
    return f"ft:{base}:{tenant}:{name}:{digest[:8]}"


def served_name(tenant: str, name: str, digest: str) -> str:
    return f"{tenant}.{name}.{digest[:8]}"
