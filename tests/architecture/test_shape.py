"""House rules on the source's shape. An exception stands here, with its reason, or it isn't one."""

import ast
import re

import pytest

from tests.architecture.source import Module, length, modules

LONG_FILES: dict[str, str] = {
    "gateway/migrations/scripts/versions/0001_the_first_schema.py": "generated",
}
LONG_FUNCTIONS: dict[str, str] = {
    "gateway/migrations/scripts/versions/0001_the_first_schema.py:upgrade": "generated",
    "gateway/migrations/scripts/versions/0001_the_first_schema.py:downgrade": "generated",
}
# Optional heavy dependencies, each in one named loader.
INNER_IMPORTS: dict[str, str] = {
    "retrieval/embedder.py:load_embedder": "sentence-transformers and torch",
}
VAGUE = re.compile(r"(^|_)(utils?|helpers?|manager|misc|common)(_|$)")


def test_a_file_holds_one_idea() -> None:
    long = {m.path: m.lines for m in modules() if m.lines > 400 and m.path not in LONG_FILES}
    assert not long


def test_a_function_fits_on_a_page() -> None:
    long = [
        f"{module.path}:{function.name} ({length(function)})"
        for module in modules()
        for function in module.functions()
        if length(function) > 60 and f"{module.path}:{function.name}" not in LONG_FUNCTIONS
    ]
    assert not long


def test_a_handler_parses_calls_and_returns() -> None:
    long = [
        f"{module.path}:{function.name} ({length(function)})"
        for module in modules()
        if module.path.endswith("routes.py")
        for function in module.functions()
        if any(_is_route(decorator) for decorator in function.decorator_list) and length(function) > 12
    ]
    assert not long


def _is_route(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"get", "post", "put", "delete", "patch"}
    )


def test_no_import_inside_a_function() -> None:
    inner = {
        f"{module.path}:{function.name}"
        for module in modules()
        for function in module.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert inner == set(INNER_IMPORTS)


def test_names_say_what_is_inside() -> None:
    vague = [m.path for m in modules() if any(VAGUE.search(part) for part in m.path.removesuffix(".py").split("/"))]
    assert not vague


def test_a_package_says_what_is_public() -> None:
    silent = [
        module.path
        for module in modules()
        if module.path.endswith("__init__.py") and _exports(module) and not _assigns(module, "__all__")
    ]
    assert not silent


def _exports(module: Module) -> bool:
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in module.tree.body)


def _assigns(module: Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        for node in module.tree.body
    )


def test_no_global_statement_and_no_print() -> None:
    found = [module.path for module in modules() for node in ast.walk(module.tree) if isinstance(node, ast.Global)]
    assert not found


@pytest.mark.parametrize("listed", [LONG_FILES, LONG_FUNCTIONS])
def test_exceptions_are_still_needed(listed: dict[str, str]) -> None:
    paths = {module.path for module in modules()}
    assert {entry.partition(":")[0] for entry in listed} <= paths
