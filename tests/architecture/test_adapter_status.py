"""An adapter's status is written in one module: the others ask `gateway.adapters.lifecycle` for each step."""

import ast
from collections.abc import Iterator

from gateway.adapters.lifecycle import AdapterStatus
from tests.architecture.source import Module, modules

LIFECYCLE = "gateway/adapters/lifecycle.py"
CLIENTS = ("gateway/cli/", "gateway/demo/")
"""Rooms that read states from the API, as any program does."""
OTHER_ROWS = {"job", "version", "document", "gate"}
"""Variables with a status of their own in modules that also know adapters."""
OWN_WORDS = {status.value for status in AdapterStatus} - {"ready", "deleted"}
"""The words that nothing else in the gateway uses as a state."""


def _knows_adapters(module: Module) -> bool:
    return module.path.startswith("gateway/adapters/") or any(
        (node.module or "").startswith("gateway.adapters.") and node.module != "gateway.adapters.routes"
        for node in module.nodes(ast.ImportFrom)
    )


def _writes(module: Module) -> Iterator[int]:
    targets = [target for node in module.nodes(ast.Assign) for target in node.targets]
    targets += [node.target for node in module.nodes(ast.AnnAssign, ast.AugAssign)]
    for target in targets:
        for part in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(part, ast.Attribute) and part.attr == "status" and not _is_another_row(part.value):
                yield part.lineno
    for node in module.nodes(ast.Call):
        if isinstance(node.func, ast.Name):
            if node.func.id == "AdapterRow" and any(keyword.arg == "status" for keyword in node.keywords):
                yield node.lineno
            if node.func.id == "setattr":
                yield node.lineno


def _is_another_row(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in OTHER_ROWS


def test_no_other_module_writes_an_adapters_status() -> None:
    writers = {module.path for module in modules() if _knows_adapters(module) and list(_writes(module))}
    assert writers == {LIFECYCLE}


def test_no_other_module_spells_its_states() -> None:
    spelled = [
        f"{module.path}:{node.lineno}"
        for module in modules()
        if module.path != LIFECYCLE and not module.path.startswith(CLIENTS)
        for node in module.nodes(ast.Constant)
        if node.value in OWN_WORDS
    ]
    assert not spelled
