"""A query without a tenant is only made where the reason for it stands: in a repository, or in the jobs' claim."""

import ast

from tests.architecture.source import Module, modules

STATEMENTS = {"select", "update", "delete", "insert", "text"}
ALLOWED = ("gateway/db/", "gateway/health/readiness.py")


def _statements(module: Module) -> list[int]:
    imported = {
        alias.asname or alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for alias in node.names
    }
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATEMENTS & imported
    ]


def test_statements_are_made_in_repositories_only() -> None:
    found = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.path.startswith(ALLOWED) and not module.path.endswith("repository.py")
        for line in _statements(module)
    ]
    assert not found


def test_a_statement_in_a_repository_names_the_tenant() -> None:
    """Methods of a `Repository` see `self.tenant`; a function beside it is unscoped and says so in its docstring."""
    silent: list[str] = []
    for module in modules():
        if not module.path.endswith("repository.py") or module.path.startswith("gateway/db/"):
            continue
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                silent += [f"{module.path}:{f.name}" for f in _own_statements(node) if not _scoped(f)]
            elif (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and _calls(node)
                and not ast.get_docstring(node)
            ):
                silent.append(f"{module.path}:{node.name}")
    assert not silent


def _own_statements(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [f for f in node.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and _calls(f)]


def _scoped(function: ast.AST) -> bool:
    """Says the tenant itself, or hands its statement to the base class, which does."""
    text = ast.unparse(function)
    return any(said in text for said in ("self.tenant", "self.one(", "self.select(", "self.all("))


def _calls(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATEMENTS
        for node in ast.walk(function)
    )
