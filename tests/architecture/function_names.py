"""A public function begins with a verb, or with a preposition that says what becomes of what."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Module, modules

VERBS = frozenset(
    """
    abandon abort accept aclose add admit advise agree align allow announce answer apply arrange ask authenticate
    await backup begin blur build calibrate call cancel change chat check choose cite claim classify clean clear
    close collect communicate compare compile complete compose compute conclude configure connect contextualize
    converse copy count cover create cut deal decide declare decode define delete describe detect detokenize
    diagnose digest disconnect dismiss do downgrade download draft draw drop edit embed encode end enqueue ensure
    erase estimate evaluate evict examine exchange execute expand expel expire explain export extend extract fail
    feed fill find fingerprint finish fit flush fold follow forecast forget fork format freeze fuse gather get grade
    ground guess handle hide hold identify imply import ingest interrupt invoke isolate iterate join judge keep kill
    learn leave lend limit list load locate lock look lose make map mark match measure merge migrate miss modify
    move name narrow neutralise normalize note notify omit open pair parse pass pause pick pin place plan post
    prepare price print prolong promote provide publish put queue rank read recall receive record redact refuse
    register reindex release remove render renew replace request rerank resolve restore resume retrieve reveal
    revoke rewrite roll rollback run sample save say scan score search select send serve set settle share show size
    sleep sniff split start step stop store stream strip submit succeed sum summarise swap sweep sync take
    tally tell thin tokenize touch trace train trim unload update upgrade upsert vary vote wait wake walk watch
    weigh widen withdraw withhold wrap write
    """.split()
)
# Verbs of sentences about functions, beside those that functions are named by.
PROSE_VERBS = frozenset(
    """
    back become bind break bring cluster die fetch give hand have index install lay let log multiply postpone prove
    quantise quote raise recognise rename remember replay report return see seed shorten stand switch synchronise try
    turn undo unpack upload use visit wind work yield
    """.split()
)
# `to_event` makes something else of what is there and `new_id` something that wasn't, `on_body` follows something, and
# `by_key` finds by it.
PREPOSITIONS = frozenset({"as", "by", "for", "from", "new", "of", "on", "to"})
# `state_of` and `expires_at` are named after the one thing that they return.
LAST_WORDS = frozenset({"at", "from", "of"})
# A property is a noun, a context manager is named after what is there within it, and handlers and commands are called
# by their path or name.
NOUNS = ("property", "declared_attr", "contextmanager", "setter", "router.", "exports.", ".command(")


def nouns_for_functions(module: Module) -> set[str]:
    """Public functions and methods that begin with neither a verb nor a preposition, of which there are two kinds more.

    One that tells says what is the case (`is_idle`, `fits`, `may_read`), and a constructor what it makes (`broken`).
    """
    return {f"{module.path}:{function.name}" for function in _public(module) if not _is_well_named(function)}


def unused_verbs() -> frozenset[str]:
    """Verbs of the list with which no function begins any more."""
    return VERBS - {function.name.split("_")[0] for module in modules() for function in _public(module)}


def _public(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    bodies = [module.tree.body, *(node.body for node in module.nodes(ast.ClassDef))]
    functions = (node for body in bodies for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return (node for node in functions if not node.name.startswith("_"))


def _is_well_named(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first, *more = function.name.split("_")
    returns = "" if function.returns is None else ast.unparse(function.returns)
    return (
        first in VERBS | PREPOSITIONS
        or function.name == "main"  # where a process begins
        or bool(more and more[-1] in LAST_WORDS)
        or (returns.startswith(("bool", "TypeIs")) and (first.endswith("s") or first == "may"))
        or any(word in ast.unparse(decorator) for decorator in function.decorator_list for word in NOUNS)
        or _makes_its_class(function)
    )


def _makes_its_class(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    decorators = {node.id for node in function.decorator_list if isinstance(node, ast.Name)}
    return "classmethod" in decorators and any(isinstance(call, ast.Name) and call.id == "cls" for call in calls)
