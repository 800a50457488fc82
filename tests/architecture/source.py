"""The project's own source, parsed at most once for the tests beside this file."""

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, cast

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "prompts", "retrieval", "training")

Node = TypeVar("Node", bound=ast.AST)
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    path: str
    text: str

    @classmethod
    def of(cls, text: str, path: str = "gateway/example.py") -> "Module":
        """Take a text, as if it stood at `path`."""
        return cls(path, text)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def _by_kind(self) -> dict[type[ast.AST], list[ast.AST]]:
        # A walk costs as much as parsing does, and most rules look at one node in fifty.
        nodes: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        for node in ast.walk(self.tree):
            nodes[type(node)].append(node)
        return dict(nodes)

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        """Every node of some kinds, one kind after another, each in the order of `ast.walk`."""
        for kind in kinds:
            yield from cast(list[Node], self._by_kind.get(kind, ()))

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def name(self) -> str:
        """The file's own name, without its ending."""
        return Path(self.path).stem

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        yield from self.nodes(ast.FunctionDef, ast.AsyncFunctionDef)

    def docstrings(self) -> Iterator[tuple[Documented, str]]:
        for node in self.nodes(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
            if text := ast.get_docstring(node):
                yield node, text

    def attribute_strings(self) -> Iterator[str]:
        """The strings that stand behind an assignment and describe what was assigned."""
        for node in self.nodes(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
            for assignment, behind in pairwise(node.body):
                match behind:
                    case ast.Expr(value=ast.Constant(value=str(text))) if isinstance(assignment, _ASSIGNMENTS):
                        yield text
                    case _:
                        pass

    def comments(self) -> Iterator[str]:
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string

    def strings(self) -> Iterator[str]:
        """Every string constant, docstrings too, and the constant parts of f-strings."""
        for node in self.nodes(ast.Constant):
            if isinstance(node.value, str):
                yield node.value


@cache
def modules() -> tuple[Module, ...]:
    """The four packages."""
    return read(*PACKAGES)


@cache
def read(*folders: str) -> tuple[Module, ...]:
    """All modules below some folders."""
    return tuple(_read_module(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def _read_module(path: Path) -> Module:
    # The same object for every reader, so that what several rules look at is parsed and walked once.
    return Module.of(path.read_text(), str(path.relative_to(ROOT)))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def top_level_names(module: Module) -> set[str]:
    """Names that a module defines outside of functions and classes, or imports where it stands for a package."""
    names: set[str] = set()
    for node in module.tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import() | ast.ImportFrom() if module.name == "__init__":
                names |= {alias.asname or alias.name for alias in node.names}
            case _:
                pass
    return names
