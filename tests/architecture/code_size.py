"""The lines of code in some modules."""

import ast
import gc
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from tests.architecture.source import Module

__all__ = ["count_code_lines"]


def count_code_lines(modules: Iterable[Module]) -> int:
    """Return the number of lines that are neither blank nor a comment nor of a docstring.

    A string behind a constant or an attribute is a docstring, too.
    """
    with _paused_collector():
        return sum(map(_count, modules))


@contextmanager
def _paused_collector() -> Generator[None]:
    """Have nothing look for garbage among the trees, all of which stay: it would take three quarters of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _count(module: Module) -> int:
    docstrings: set[int] = set()
    for node in _statements(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(map(str.strip, module.text.splitlines()), 1)
    return sum(bool(line) and not line.startswith("#") and number not in docstrings for number, line in lines)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Every statement within a node; a walk of all nodes would take twenty times as long."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner: Any = getattr(node, block, ())
        if not isinstance(inner, list):  # a lambda's body, or a conditional expression's
            continue
        for child in cast("list[ast.AST]", inner):
            if isinstance(child, ast.stmt):
                yield child
            yield from _statements(child)
