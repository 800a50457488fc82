"""HTTP stays at the edge: a service gets its parts, never a request, a dependency or the whole state."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, modules

EDGE = re.compile(
    r"gateway/(app\.py|serve\.py|composition/\w+\.py)"
    r"|gateway/web/\w+\.py"
    r"|gateway/\w+/(\w+_)?routes\.py"
)
FRAMEWORK = ("fastapi", "starlette", "gateway.web")


def _imports(module: Module) -> Iterator[str]:
    yield from (node.module or "" for node in module.nodes(ast.ImportFrom))
    yield from (alias.name for node in module.nodes(ast.Import) for alias in node.names)


def _users() -> set[str]:
    return {
        module.path
        for module in modules()
        if any(name == root or name.startswith(f"{root}.") for name in _imports(module) for root in FRAMEWORK)
    }


def test_only_routes_and_web_import_the_web_framework() -> None:
    assert {path for path in _users() if EDGE.fullmatch(path) is None} == set()


def test_the_edge_is_there() -> None:
    assert {"gateway/chat/routes.py", "gateway/vector_stores/document_routes.py", "gateway/web/state.py"} <= _users()
