"""The rules for a prompt template's source. Whatever isn't listed here is refused before it is compiled."""

import re
from collections.abc import Iterable, Iterator, Mapping

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from prompts._sandbox import BOUND_FILTER, FILTER_NAMES, LOOP_FIELDS, REQUEST_VARIABLES, TEST_NAMES
from prompts.errors import TemplateInvalid

__all__ = ["BLOCKS", "MAX_DEPTH", "MAX_SOURCE", "find_optional", "find_variables", "parse", "prints_only"]

MAX_SOURCE = 32_768
MAX_DEPTH = 48
# A request's variables exist only in the blocks where they are listed. The system block has none: text that changes
# with the request, in front of everything, would empty the engine's prefix cache each time.
BLOCKS: Mapping[str, frozenset[str]] = {
    "system": frozenset(),
    "instructions": frozenset({"instructions"}),
    "evidence": frozenset({"passages", "cite"}),
    "no_evidence": frozenset({"cite"}),
    "question": frozenset({"question", "cite"}),
}
_ESSENTIAL = {"instructions": "instructions", "evidence": "passages", "question": "question"}
# Elsewhere a template may have had a variable of that name of its own before there was this block.
_RESERVED = frozenset(REQUEST_VARIABLES) - {"instructions"}
_CALLABLE = frozenset({"range", "super"})
# No assignment, no arithmetic, no concatenation: without them nothing can grow but by a loop, and loops are bounded.
_ALLOWED = (
    *(nodes.Block, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Name, nodes.Const, nodes.List),
    *(nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.CondExpr),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Neg, nodes.Keyword),
)
_SYNTAX_NAMES: Mapping[type[nodes.Node], str] = {
    nodes.Extends: "{% extends %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from … import %}",
    nodes.Macro: "{% macro %}",
    nodes.Assign: "{% set %}",
    nodes.AssignBlock: "{% set %}",
    nodes.With: "{% with %}",
    nodes.Scope: "{% autoescape %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.CallBlock: "{% call %}",
    nodes.Concat: "the operator ~",
    nodes.Mul: "the operator *",
    nodes.Pow: "the operator **",
    nodes.Mod: "the operator %",
    nodes.Add: "the operator +",
}


def parse(environment: SandboxedEnvironment, source: str) -> dict[str, nodes.Block]:
    """Return the blocks of `source` by name, each checked against every rule here.

    Raises:
        TemplateInvalid: With the line of the first thing that breaks a rule.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateInvalid(
            f"the template has {len(source)} characters and may have {MAX_SOURCE}; move facts into documents", 1
        )
    try:
        source.encode()
    except UnicodeEncodeError as error:
        line = source.count("\n", 0, error.start) + 1
        raise TemplateInvalid("half of a surrogate pair is not a character; write the whole character", line) from error
    blocks: dict[str, nodes.Block] = {}
    for block in _iterate_blocks(_read_tree(environment, source)):
        if block.name not in BLOCKS:
            raise TemplateInvalid(
                f"there is no block '{block.name}' in a prompt; use one of {', '.join(BLOCKS)}", block.lineno
            )
        if block.name in blocks:
            raise TemplateInvalid(f"the block '{block.name}' is there twice; keep one", block.lineno)
        for child in block.iter_child_nodes():
            _check(child, depth=1, in_loop=False)
        _check_variables(block, find_variables(block))
        blocks[block.name] = block
    return blocks


def find_variables(block: nodes.Block) -> set[str]:
    """Return the names that `block` looks up when it is rendered, less those that every block has."""
    tree = nodes.Template(block.body, lineno=1, environment=block.environment)
    try:
        return meta.find_undeclared_variables(tree) - _CALLABLE
    except TemplateSyntaxError as error:
        raise _convert_error(error) from error


def prints_only(block: nodes.Block, name: str) -> bool:
    """Tell whether a block prints the value of one name, with nothing but blank space around it."""
    output_nodes = [
        node for output in block.body for node in (output.nodes if isinstance(output, nodes.Output) else [output])
    ]
    words = [node for node in output_nodes if not (isinstance(node, nodes.TemplateData) and not node.data.strip())]
    return len(words) == 1 and isinstance(words[0], nodes.Name) and words[0].name == name


def find_optional(blocks: Iterable[nodes.Block]) -> set[str]:
    """Return the names that the blocks do without: all uses have a `default(…)`, or some ask whether it is defined."""
    guards: set[str] = set()
    defaulted: set[int] = set()
    names: dict[str, list[nodes.Name]] = {}
    for block in blocks:
        for test in block.find_all(nodes.Test):
            if test.name in ("defined", "undefined") and isinstance(test.node, nodes.Name):
                guards.add(test.node.name)
        for filtered in block.find_all(nodes.Filter):
            if filtered.name in ("default", "d") and isinstance(filtered.node, nodes.Name):
                defaulted.add(id(filtered.node))
        for name in block.find_all(nodes.Name):
            names.setdefault(name.name, []).append(name)
    return guards | {name for name, uses in names.items() if all(id(use) in defaulted for use in uses)}


def _read_tree(environment: SandboxedEnvironment, source: str) -> nodes.Template:
    try:
        return environment.parse(source)
    except TemplateSyntaxError as error:
        raise _convert_error(error) from error
    except (RecursionError, ValueError) as error:
        raise TemplateInvalid("an expression is too deep or a number too long to read; make it simpler", 1) from error


def _convert_error(error: TemplateSyntaxError) -> TemplateInvalid:
    message = (error.message or "the text is not a Jinja template").rstrip(".")
    return TemplateInvalid(f"{message}; correct the template there", error.lineno)


def _iterate_blocks(tree: nodes.Template) -> Iterator[nodes.Block]:
    if not any(isinstance(node, nodes.Block) for node in tree.body):
        yield nodes.Block("system", tree.body, False, False, lineno=1, environment=tree.environment)
        return
    for node in tree.body:
        if isinstance(node, nodes.Block):
            yield node
        elif isinstance(node, nodes.Output):
            _check_blank(node)
        else:
            _check(node, depth=0, in_loop=False)
            raise _refuse_outside(node.lineno)


def _check_blank(output: nodes.Output) -> None:
    for node in output.nodes:
        if not isinstance(node, nodes.TemplateData):
            raise _refuse_outside(node.lineno)
        if node.data.strip():
            blank = re.match(r"\s*", node.data)
            raise _refuse_outside(node.lineno + (blank.group().count("\n") if blank else 0))


def _refuse_outside(line: int) -> TemplateInvalid:
    return TemplateInvalid("what stands outside the blocks would never reach the model; move it into a block", line)


def _check(node: nodes.Node, depth: int, in_loop: bool) -> None:
    if not isinstance(node, _ALLOWED):
        name = _SYNTAX_NAMES.get(type(node), f"a Jinja {type(node).__name__.lower()}")
        line = next((n.lineno for n in (node, *node.find_all(nodes.Node)) if n.lineno), 1)
        raise TemplateInvalid(
            f"{name} is not available in prompts; use variables, if, for and the filters {_FILTER_LIST}", line
        )
    if depth > MAX_DEPTH:
        raise TemplateInvalid("the template is nested too deeply; make it simpler", node.lineno)
    _check_names(node)
    _check_arguments(node)
    is_loop = isinstance(node, nodes.For)
    if is_loop and (in_loop or node.recursive):
        raise TemplateInvalid("a loop can't stand in another or be recursive; put loops side by side", node.lineno)
    for child in node.iter_child_nodes():
        _check(child, depth + 1, in_loop or is_loop)
    if is_loop and not _is_passages(node.iter):
        node.iter = nodes.Filter(
            node.iter, BOUND_FILTER, [], [], None, None, lineno=node.lineno, environment=node.environment
        )


def _check_names(node: nodes.Node) -> None:
    match node:
        case nodes.Block():
            raise TemplateInvalid(
                f"the block '{node.name}' stands inside another; put blocks side by side", node.lineno
            )
        case nodes.Filter() if node.name not in FILTER_NAMES:
            raise TemplateInvalid(
                f"there is no filter '{node.name}' in prompts; use one of {_FILTER_LIST}", node.lineno
            )
        case nodes.Test() if node.name not in TEST_NAMES:
            raise TemplateInvalid(
                f"there is no test '{node.name}' in prompts; use one of {', '.join(sorted(TEST_NAMES))}", node.lineno
            )
        case nodes.Call() if not (isinstance(node.node, nodes.Name) and node.node.name in _CALLABLE):
            raise TemplateInvalid(
                "only range(…) and super() can be called in a prompt; use a filter, as in {{ name | upper }}",
                node.lineno,
            )
        case nodes.Getattr(node=nodes.Name(name="loop"), attr=name) if name not in LOOP_FIELDS:
            raise TemplateInvalid(
                f"'loop.{name}' is not available, because what stands behind in the list may be dropped later; "
                f"use one of {', '.join(sorted(LOOP_FIELDS))}",
                node.lineno,
            )
        case nodes.Name(name=name) | nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))):
            if name.startswith("_") or name == "self":
                raise TemplateInvalid(f"the name '{name}' is private to Python; use another name", node.lineno)
        case _:
            pass


def _check_arguments(node: nodes.Node) -> None:
    if isinstance(node, nodes.Filter | nodes.Test | nodes.Call):
        keys = [keyword.key for keyword in node.kwargs]
        repeated_key = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if repeated_key is not None:
            raise TemplateInvalid(f"the argument '{repeated_key}' is there twice; keep one", node.lineno)


def _check_variables(block: nodes.Block, names: set[str]) -> None:
    wrong = sorted(names & (_RESERVED - BLOCKS[block.name]))
    if wrong:
        line = next((n.lineno for n in block.find_all(nodes.Name) if n.name == wrong[0]), block.lineno)
        why = (
            "it would change the start of the prompt with every request and so empty the engine's prefix cache; "
            "use it in the block evidence or question"
            if block.name == "system"
            else f"it has {', '.join(sorted(BLOCKS[block.name]))}; use one of these"
        )
        raise TemplateInvalid(f"the block {block.name} can't use '{wrong[0]}': {why}", line)
    essential = _ESSENTIAL.get(block.name)
    if essential and essential not in names and not _inherits(block) and not _does_without(block):
        raise TemplateInvalid(
            f"the block {block.name} never uses '{essential}', so the model would not see it; print it there",
            block.lineno,
        )
    walked = {id(loop.iter) for loop in block.find_all(nodes.For)}
    for name in block.find_all(nodes.Name):
        if _is_passages(name) and id(name) not in walked:
            raise TemplateInvalid(
                "passages can only be looped over, because the last of them may be dropped later; "
                "write {% for passage in passages %}",
                name.lineno,
            )


def _is_passages(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "passages"


def _does_without(block: nodes.Block) -> bool:
    """Tell whether a block is an empty `instructions`: the client's text without words around it."""
    if block.name != "instructions":
        return False
    output_nodes = [node for output in block.body if isinstance(output, nodes.Output) for node in output.nodes]
    blank = all(isinstance(node, nodes.TemplateData) and not node.data.strip() for node in output_nodes)
    return blank and all(isinstance(node, nodes.Output) for node in block.body)


def _inherits(block: nodes.Block) -> bool:
    return any(isinstance(call.node, nodes.Name) and call.node.name == "super" for call in block.find_all(nodes.Call))


_FILTER_LIST = ", ".join(sorted(FILTER_NAMES))
