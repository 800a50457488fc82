"""A checkpoint's chat template, rendered as transformers and vLLM render it, without either of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateError, nodes, pass_context
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from training.checkpoint import CheckpointUnreadable, read_chat_template, read_special_tokens
from training.content_format import takes_parts

__all__ = ["ChatTemplate", "TemplateRefused"]

_OWN_VARIABLES = frozenset({"messages", "tools", "documents", "add_generation_prompt"})


class TemplateRefused(Exception):
    """The template can't be rendered with these messages; the text is its own word for why."""


class _Generation(Extension):
    """Lets a template mark replies with `{% generation %}`, which transformers knows and prints as if it weren't there.

    Source: `transformers.utils.chat_template_utils`, version 5.19.
    """

    tags = {"generation"}  # noqa: RUF012 # jinja2's own way

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled chat template. It is sandboxed: a checkpoint's author reaches nothing but the messages.

    Args:
        source: Jinja.
        specials: The texts of the special tokens that it may name, such as `bos_token`.

    Attributes:
        source: As it stands in the checkpoint.
        variables: The names that a request may give a value (`chat_template_kwargs`).
        unknown_functions: The names that it calls and that neither transformers nor vLLM gives a meaning.
        takes_parts: Whether vLLM hands each content on as a list of parts, because the template walks through them.

    Raises:
        CheckpointUnreadable: It isn't valid Jinja.
    """

    def __init__(self, source: str, specials: Mapping[str, str] | None = None) -> None:
        self._formats: list[str] = []
        self._day = date(2000, 1, 1)
        self._random = False
        self._specials = dict(specials or {})
        environment = self._create_environment()
        try:
            tree = environment.parse(source)
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise CheckpointUnreadable(
                f"The model's chat template isn't valid: {error}. Fetch the model again, or correct the template."
            ) from error
        self.source = source
        names = frozenset(find_undeclared_variables(tree)) - _OWN_VARIABLES - self._specials.keys()
        self.variables = names - environment.globals.keys()
        called = {call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)}
        self.unknown_functions = sorted(self.variables & called)
        self.takes_parts = takes_parts(tree)

    @classmethod
    def read(cls, directory: Path) -> "ChatTemplate":
        """Read a checkpoint's.

        Raises:
            CheckpointUnreadable: It has none, or a file of it is damaged.
        """
        return cls(read_chat_template(directory), read_special_tokens(directory).names)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        prompt: bool,
        day: date | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the text of a conversation.

        Args:
            messages: As OpenAI writes them, with contents of text.
            prompt: Whether to end with what asks the model for a reply.
            day: The day that the template takes for today; without a time it is midnight.
            variables: Values of its own names.

        Raises:
            TemplateRefused: It doesn't take these messages.
        """
        self._formats.clear()
        self._random = False
        self._day = day or date.today()
        if self.takes_parts:
            messages = [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages]
        values = {**self._specials, "tools": None, "documents": None, **(variables or {})}
        try:
            return self._template.render(messages=messages, add_generation_prompt=prompt, **values)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            raise TemplateRefused(str(error)) from error

    @property
    def date_formats(self) -> list[str]:
        """The formats in which the last rendering asked for today's date."""
        return list(self._formats)

    @property
    def is_random(self) -> bool:
        """Whether the last rendering picked something at random; here that is always the first."""
        return self._random

    def _create_environment(self) -> Environment:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        filters: dict[str, Any] = {"tojson": _to_json, "random": self._pick}
        environment.filters.update(filters)
        functions: dict[str, Any] = {"raise_exception": _raise, "strftime_now": self._tell_date}
        environment.globals.update(functions)
        return environment

    @pass_context  # or it would be done once, when the template is compiled
    def _pick(self, _: Context, values: Iterable[Any]) -> Any:
        self._random = True
        return next(iter(values), "")

    def _tell_date(self, format: str) -> str:
        self._formats.append(format)
        return self._day.strftime(format)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
