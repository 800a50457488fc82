"""Tests that can end before they have asserted what their name says."""

import ast
from collections.abc import Iterator, Sequence

from tests.architecture.source import Module

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


def early_returns(module: Module) -> set[str]:
    """Tests that return: what stands behind isn't asserted then, and nobody sees it."""
    tests = (one for one in module.functions() if one.name.startswith("test_"))
    return {
        f"{module.path}:{test.name}"
        for test in tests
        if any(isinstance(statement, ast.Return) for statement in _statements(test.body))
    }


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The statements of a function, without those of functions and classes in it."""
    for statement in body:
        if not isinstance(statement, _SCOPES):
            yield statement
            for name in _BODIES:
                yield from _statements(getattr(statement, name, ()))
