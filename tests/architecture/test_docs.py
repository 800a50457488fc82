"""What there is, is documented, and what is documented, is there."""

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from gateway.app import create_app
from gateway.cli.app import app as commands
from gateway.errors import BraidError
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.terminal import Exit
from tests.architecture.rates import find_rates
from tests.architecture.source import ROOT, Module, read
from tests.architecture.test_routes import routes

DOCS = ROOT / "docs"
# Programs on a terminal, and the sample: their errors end a command, not a request.
NO_ROUTES = tuple(f"gateway/{room}/" for room in ("cli", "client", "demo", "evaluation", "openai_import", "stack"))


def list_names(page: str, pattern: str) -> set[str]:
    """What a page has in its tables' first columns."""
    return set(re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE))


def test_every_setting_is_documented() -> None:
    assert list_names("configuration.md", r"^\| `(\w+)` \|") == set(Settings.model_fields)


def test_every_route_is_documented() -> None:
    described = {
        f"{method} {route.path.replace(':path}', '}')}"
        for route in routes()
        if route.include_in_schema
        for method in route.methods or ()
    }
    assert list_names("api.md", r"^\| `((?:GET|POST|PUT|PATCH|DELETE) /\S+)` \|") == described


def test_every_error_code_is_documented() -> None:
    modules = [module for module in read("gateway") if not module.path.startswith(NO_ROUTES)]
    codes = {code for module in modules for code in [*_given_codes(module), *_class_codes(module)]}
    errors, _, jobs = (DOCS / "errors.md").read_text().partition("## Jobs that failed")
    assert set(re.findall(r"^\| `(\w+)` \|", errors, re.MULTILINE)) == codes
    faults = ("JobFailed", "ItemFailed")
    failures = {code for module in modules for name in faults for code in _first_arguments(module, name)}
    for module in read("training"):
        failures |= {*_first_arguments(module, "TrainingError"), *_given_codes(module, "_tokenize_file")}
    rows = re.findall(r"^\|((?: `\w+`,?)+) \|", jobs, re.MULTILINE)
    assert {code for row in rows for code in re.findall(r"\w+", row)} == failures


def test_every_reason_to_refuse_an_adapter_is_documented() -> None:
    reasons = {code for module in read("training/verdict") for code in _first_arguments(module, "Reason")}
    reasons |= {code for module in read("training/verdict") for code in _keys_of(module, "_MEANINGS")}
    listed = (DOCS / "errors.md").read_text().partition("Why an adapter is refused")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == reasons


def test_every_error_code_has_the_documented_status() -> None:
    create_app(_unopened)  # imports all that a route can raise
    importlib.import_module("gateway.serve")  # and what the server says by itself
    classes = {one.__name__: one for one in _subclasses(BraidError)}
    statuses: dict[str, set[int]] = {}
    for one in classes.values():
        if code := one.__dict__.get("code"):
            statuses[code] = {one.status}
    for module in read("gateway"):
        for call in module.nodes(ast.Call):
            if isinstance(call.func, ast.Name) and (raised := classes.get(call.func.id)):
                for code in _codes(call):
                    statuses.setdefault(code, set()).add(raised.status)
    # In a stream there is no status any more, and HTTP's own errors have any of the 400s.
    for code in ("stream_interrupted", "http_error"):
        del statuses[code]
    rows = re.findall(r"^\| `(\w+)` \| (\d[\d, ]*) \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    assert {code: {int(status) for status in cell.split(",")} for code, cell in rows} == statuses


def _unopened() -> Any:
    raise AssertionError("the lifespan isn't entered here")


def _subclasses(one: type[BraidError]) -> Iterator[type[BraidError]]:
    yield one
    for inner in one.__subclasses__():
        yield from _subclasses(inner)


def _codes(call: ast.Call) -> Iterator[str]:
    """The codes that a call gives: one, or the two of a condition."""
    for keyword in call.keywords:
        if keyword.arg == "code":
            either = keyword.value
            yield from filter(
                None, map(_text, [either.body, either.orelse] if isinstance(either, ast.IfExp) else [either])
            )


def _given_codes(module: Module, function: str | None = None) -> Iterator[str]:
    for node in module.nodes(ast.Call):
        if function is None or _is_call_of(node, function):
            yield from filter(None, (_text(keyword.value) for keyword in node.keywords if keyword.arg == "code"))


def _class_codes(module: Module) -> Iterator[str]:
    for node in module.nodes(ast.ClassDef):
        for line in node.body:
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
                yield _text(line.value)


def _first_arguments(module: Module, function: str) -> Iterator[str]:
    for node in module.nodes(ast.Call):
        if _is_call_of(node, function) and node.args:
            yield from filter(None, (_text(node.args[0]),))


def _is_call_of(node: ast.Call, function: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == function


def _keys_of(module: Module, name: str) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and ast.unparse(node.targets[0]) == name:
            yield from (_text(key) for key in node.value.keys if key is not None)


def _text(node: ast.expr) -> str:
    """A string as it stands in the source; "" for what is computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_command_and_option_is_documented() -> None:
    rows = re.findall(r"^\| `(braid [\w ]+)` \|[^|]*\|([^|]*)\|", (DOCS / "commands.md").read_text(), re.MULTILINE)
    documented = {command: set(re.findall(r"--[\w-]+", options)) for command, options in rows}
    there = {
        " ".join(path): {name for option in command.params for name in option.opts if name.startswith("--")}
        for path, command in _commands(typer.main.get_command(commands), ("braid",))
    }
    assert documented == there


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from _commands(command.get_command(context, name), (*path, name))


def test_every_exit_status_is_documented() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (DOCS / "commands.md").read_text(), re.MULTILINE)
    assert {name: int(status) for status, name in rows} == {status.name: status.value for status in Exit}


def test_every_metric_is_documented() -> None:
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics().registry.collect()
    }
    assert list_names("operating.md", r"^\| `(braid_\w+)(?:\{[\w,]+\})?` \|") == there


def pages() -> list[Path]:
    folders = (ROOT / "examples", ROOT / ".github", ROOT / "deploy")
    return [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]


def broken_links(page: Path) -> set[str]:
    """Links of a page to files that aren't there, and to headings that a file doesn't have."""
    broken: set[str] = set()
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", _leave_out_code(page.read_text())):
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.add(f"{page.name} → {target}#{anchor}" if anchor else f"{page.name} → {target}")
    return broken


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    counts: Counter[str] = Counter()
    names: set[str] = set()
    for heading in re.findall(r"^#+ +(.*?) *$", _leave_out_code(page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        names.add(f"{name}-{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return names


def _leave_out_code(text: str) -> str:
    """Leave out blocks of code, whose comments look like headings."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_rates_in_documents_are_per_something() -> None:
    rates = {f"{page.relative_to(ROOT)}: {rate}" for page in pages() for rate in find_rates(page.read_text())}
    assert rates == set()


def test_links_between_documents_lead_somewhere() -> None:
    assert set().union(*map(broken_links, pages())) == set()


def test_a_link_to_no_file_or_heading_is_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two words, `code` & more\n\n## Same\n\n## Same\n\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Own\n[a](#own) [b](other.md#two-words-code--more) [c](other.md#same-1) [d](https://example.com/#x)\n"
        "[e](#none) [f](other.md#same-2) [g](none.md) [h](other.md#no-heading)\n"
    )
    broken = {"#none", "other.md#same-2", "none.md", "other.md#no-heading"}
    assert broken_links(page) == {f"page.md → {link}" for link in broken}
