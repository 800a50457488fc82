"""The project's own source, parsed once for the tests beside this file."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "prompts", "retrieval", "training")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, text: str, path: str = "gateway/example.py") -> "Module":
        """Parse a text, as if it stood at `path`."""
        return cls(path, text, ast.parse(text))

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def name(self) -> str:
        """The file's own name, without its ending."""
        return Path(self.path).stem

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def docstrings(self) -> Iterator[tuple[Documented, str]]:
        for node in ast.walk(self.tree):
            if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                yield node, text

    def comments(self) -> Iterator[str]:
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string

    def strings(self) -> Iterator[str]:
        """Every string constant, docstrings too, and the constant parts of f-strings."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@cache
def modules() -> tuple[Module, ...]:
    """The four packages."""
    return read(*PACKAGES)


@cache
def read(*folders: str) -> tuple[Module, ...]:
    """All modules below some folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(Module.of(path.read_text(), str(path.relative_to(ROOT))) for path in paths)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
