"""A query without a tenant is only made where the reason for it stands: in a repository, or in the jobs' claim."""

import ast

import pytest

from tests.architecture.source import Module, modules

STATEMENTS = {"select", "update", "delete", "insert", "text"}
ALLOWED = ("gateway/db/", "gateway/migrations/", "gateway/health/readiness.py")


def _statements(module: Module) -> list[int]:
    """Return the lines of calls of SQLAlchemy's functions, by whatever name they or their module were imported."""
    functions = {
        alias.asname or alias.name
        for node in module.nodes(ast.ImportFrom)
        if (node.module or "").startswith("sqlalchemy")
        for alias in node.names
        if alias.name in STATEMENTS
    }
    packages = {
        (alias.asname or alias.name).partition(".")[0]
        for node in module.nodes(ast.Import)
        for alias in node.names
        if alias.name.startswith("sqlalchemy")
    }
    return [
        node.lineno
        for node in module.nodes(ast.Call)
        if (isinstance(node.func, ast.Name) and node.func.id in functions)
        or (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in STATEMENTS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in packages
        )
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import select\nselect(FileRow)\n",
        "from sqlalchemy import select as pick\npick(FileRow)\n",
        "import sqlalchemy as sa\nsa.delete(FileRow)\n",
        "import sqlalchemy\nsqlalchemy.text('x')\n",
    ],
)
def test_the_check_sees_a_statement_in_a_service(source: str) -> None:
    assert _statements(Module.of(source, "gateway/files/service.py")) == [2]


def test_statements_are_made_in_repositories_only() -> None:
    found = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.path.startswith(ALLOWED) and not module.path.endswith("repository.py")
        for line in _statements(module)
    ]
    assert not found


def test_only_the_base_of_repositories_makes_their_statements() -> None:
    """`gateway.db.Repository` adds the tenant; a function beside a repository is of all tenants and says why."""
    broken: list[str] = []
    for module in modules():
        if module.path.endswith("repository.py") and not module.path.startswith("gateway/db/"):
            broken += _breaches(module)
    assert not broken


@pytest.mark.parametrize(
    "source",
    [
        "class Files(Repository):\n    def all(self): return select(FileRow)\n",
        "class Files(Repository):\n    def drop(self): return sa.delete(FileRow)\n",
        "def all_files(): return select(FileRow)\n",
    ],
)
def test_the_check_sees_a_statement_without_a_tenant(source: str) -> None:
    assert len(_breaches(Module.of(source, "gateway/files/repository.py"))) == 1


def _breaches(module: Module) -> list[str]:
    broken: list[str] = []
    for node in module.tree.body:
        documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node)
        if not documented and _makes_statements(node):
            broken.append(f"{module.path}:{node.lineno}")
    return broken


def _makes_statements(node: ast.AST) -> bool:
    return any(isinstance(call, ast.Call) and _is_statement(call.func) for call in ast.walk(node))


def _is_statement(function: ast.expr) -> bool:
    """Tell whether SQLAlchemy's own function is called, not a repository's method."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr in STATEMENTS and function.value.id in {"sa", "sqlalchemy"}
    return isinstance(function, ast.Name) and function.id in STATEMENTS
