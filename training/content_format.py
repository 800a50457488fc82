"""The way in which vLLM hands the contents of messages to a chat template: as text, or as lists of parts.

It looks for a loop over a message's content in the template's syntax tree, by names of variables rather than by a flow
of data. A finer account would render other prompts than the engine does, so this is the same one.

Source: `vllm.renderers.hf._detect_content_format`, version 0.32.
"""

from collections.abc import Collection, Iterator

from jinja2 import nodes

__all__ = ["takes_parts"]


class _Unreadable(Exception):
    """The tree has something in it at which vLLM's detection breaks off."""


def takes_parts(tree: nodes.Template) -> bool:
    """Tell whether vLLM hands each content on as a list of parts, because the template walks through them.

    Args:
        tree: ParsedDocument by an environment with the tags that transformers' own knows.
    """
    try:
        return _has_walk(tree)
    except _Unreadable:
        return False  # as vLLM's default is


def _has_walk(tree: nodes.Template) -> bool:
    messages = _find_message_names(tree)
    parameters, inside = _find_macro_loops(tree, messages)
    for loop in tree.find_all(nodes.For):
        over = loop.iter.name if isinstance(loop.iter, nodes.Name) else None
        walks = _is_content(loop.iter, messages) or over in parameters.get(id(loop), ())
        if walks or (over == "content" and id(loop) not in inside):
            _read_name(loop.target)
            return True
    return False


def _find_message_names(tree: nodes.Template) -> list[str]:
    """Return the names of loops' variables that are messages."""
    lists, names = _find_list_names(tree), list[str]()
    for loop in tree.find_all(nodes.For):
        if any(_is_access(loop.iter, name) for name in lists):
            names.append(_read_name(loop.target))
    return names


def _find_list_names(tree: nodes.Template) -> list[str]:
    """Return `messages` and all names that such a name, or a part of its list, is assigned to."""
    names = ["messages"]
    for name in names:  # grows on the way
        for assignment in tree.find_all(nodes.Assign):
            if _is_access(assignment.node, name) and (target := _read_name(assignment.target)) not in names:
                names.append(target)
    return names


def _find_macro_loops(tree: nodes.Template, messages: Collection[str]) -> tuple[dict[int, set[str]], set[int]]:
    """Return the parameters that are a message's content for each loop in a macro that has any, and all such loops."""
    parameters: dict[int, set[str]] = {}
    inside: set[int] = set()
    for macro in tree.find_all(nodes.Macro):
        contents = set(_find_content_parameters(tree, macro, messages))
        for loop in macro.find_all(nodes.For):
            inside.add(id(loop))
            if contents:
                parameters[id(loop)] = contents
    return parameters, inside


def _find_content_parameters(tree: nodes.Template, macro: nodes.Macro, messages: Collection[str]) -> Iterator[str]:
    names = [argument.name for argument in macro.args]
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == macro.name:
            yield from (name for name, value in zip(names, call.args, strict=False) if _is_content(value, messages))
            yield from (word.key for word in call.kwargs if word.key in names and _is_content(word.value, messages))


def _is_content(node: nodes.Node, messages: Collection[str]) -> bool:
    return any(_is_access(node, name, "content") for name in messages)


def _is_access(node: nodes.Node | None, name: str, key: str | None = None) -> bool:
    """Tell whether a node reads a variable, or a key of it, also through filters, tests and slices."""
    match node:
        case nodes.Filter(node=inner) | nodes.Test(node=inner) | nodes.Getitem(node=inner, arg=nodes.Slice()):
            return _is_access(inner, name, key)
        case nodes.Getattr(node=inner, attr=attribute) if key == attribute:
            return _is_access_of_name(inner, name)
        case nodes.Getitem(node=inner, arg=nodes.Const(value=constant)) if key is not None and key == constant:
            return _is_access_of_name(inner, name)
        case _:
            return key is None and _is_access_of_name(node, name)


def _is_access_of_name(node: nodes.Node | None, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.ctx == "load" and node.name == name


def _read_name(target: nodes.Node) -> str:
    if not isinstance(target, nodes.Name):
        raise _Unreadable
    return target.name
