import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeAlias

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, TemplateRuntimeError, TemplateSyntaxError, nodes
from jinja2.runtime import Context

from prompts import _syntax
from prompts._sandbox import Sandbox, create_sandbox
from prompts.default import DEFAULT
from prompts.errors import TemplateFailed, TemplateInvalid

__all__ = ["OWN_CHARACTERS", "Template", "compile"]

# A block may print all of a request's texts twice over, and this many characters of its own.
OWN_CHARACTERS = 65_536
# A release's values never change, and a release is asked many times.
_SYSTEMS = 16

_Block: TypeAlias = Callable[[Context], Iterator[str]]


class Template:
    """A compiled source. Immutable, safe to share between threads and tasks; make one with `compile`.

    Attributes:
        source: The text that was compiled.
        digest: SHA-256 of the source's UTF-8 bytes, in hex. Blocks from `DEFAULT` aren't part of it.
        variables: The template's own names, for which the caller may give values.
        required: Those of them that the template can't do without.
    """

    def __init__(
        self,
        source: str,
        variables: frozenset[str],
        optional: frozenset[str],
        own: JinjaTemplate,
        default: JinjaTemplate,
        *,
        plain_question: bool,
    ) -> None:
        self.source = source
        self.digest = hashlib.sha256(source.encode()).hexdigest()
        self.variables = variables
        self.required = variables - optional
        self._own = own
        self._plain_question = plain_question
        self._systems: dict[str, str] = {}
        # Each name with its block functions from the source's to the default's, as Jinja's inheritance stacks them.
        self._stacks: dict[str, list[_Block]] = {
            name: [*([own.blocks[name]] if name in own.blocks else []), default.blocks[name]] for name in _syntax.BLOCKS
        }

    def render(self, block: str, variables: Mapping[str, Any], size: int = 0) -> str:
        """Return the text of one block, without space around it.

        Args:
            block: `system`, `instructions`, `no_evidence` or `question`.
            variables: The values that the block may look up.
            size: Characters of the request's own texts among the variables; it raises the limit on the result.

        Raises:
            TemplateFailed: A variable is missing, or the template did something that it must not do.
        """
        return "".join(self._run(block, dict(variables), size)).strip()

    def render_system(self, variables: Mapping[str, Any]) -> str:
        """Return the text of the block `system`, rendered once per set of values: it's the same in all requests.

        Arguments and errors are those of `render`.
        """
        key = repr(sorted(variables.items())) if variables else ""
        text = self._systems.get(key)
        if text is None:
            text = self.render("system", variables)
            if len(self._systems) >= _SYSTEMS:
                self._systems.clear()
            self._systems[key] = text
        return text

    def render_instructions(self, variables: Mapping[str, Any], instructions: str) -> str:
        """Return the text of the block `instructions`, around the client's; where it is empty, the client's alone.

        Errors are those of `render`.
        """
        return self.render("instructions", {**variables, "instructions": instructions}, len(instructions)) or (
            instructions
        )

    def render_question(self, variables: Mapping[str, Any], question: str) -> str:
        """Return the text of the block `question`, around or instead of the client's own words.

        Errors are those of `render`.
        """
        if self._plain_question:  # as in most templates
            return question.strip()
        return self.render("question", {**variables, "question": question}, len(question))

    def render_evidence(
        self, variables: Mapping[str, Any], passages: Sequence[Mapping[str, Any]], size: int = 0
    ) -> list[tuple[int, str]]:
        """Return the evidence block in pieces, each with the passage (from 1) that printed it, or 0 for the frame.

        The pieces up to passage k, joined, are the block as rendered with only the first k passages: a template can do
        nothing with passages but walk them, and can't look ahead. Arguments and errors are those of `render`.
        """
        walk = _Walk(passages)
        return [(walk.current, piece) for piece in self._run("evidence", {**variables, "passages": walk}, size)]

    def _run(self, block: str, variables: dict[str, Any], size: int) -> Iterator[str]:
        environment = self._own.environment
        context = Context(environment, {**environment.globals, **variables}, None, {})
        context.blocks = self._stacks
        room = limit = OWN_CHARACTERS + 2 * size
        try:
            for piece in self._stacks[block][0](context):
                # The 1 makes a loop that prints nothing end as well.
                room -= len(piece) + 1
                if room < 0:
                    raise TemplateRuntimeError(f"the block {block} prints over {limit} characters; print less in loops")
                yield piece
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise TemplateFailed(_describe(error), self._find_line(error.__traceback__)) from error

    def _find_line(self, traceback: TracebackType | None) -> int | None:
        line = None
        while traceback is not None:
            if traceback.tb_frame.f_globals.get("__jinja_template__") is self._own:
                line = self._own.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line


class _Walk:
    """Passages that know which of them a loop is at."""

    def __init__(self, passages: Sequence[Mapping[str, Any]]) -> None:
        self.current = 0
        self._passages = passages

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for self.current, passage in enumerate(self._passages, 1):  # noqa: B020
            yield passage
        self.current = 0


@lru_cache(maxsize=16)  # the default alone takes 10 ms, and each release and each job asks for it
def compile(source: str) -> Template:
    """Check and compile a template's source; see `DEFAULT` for the blocks, which it may leave out.

    A source without blocks is the system block. `{{ super() }}` is the default's text of a block.

    Raises:
        TemplateInvalid: The source breaks a rule; the message names it, and the line.
    """
    environment = create_sandbox()
    own = _syntax.parse(environment, source)
    default = _syntax.parse(environment, DEFAULT)
    names = set[str]().union(*(_syntax.find_variables(block) - _syntax.BLOCKS[name] for name, block in own.items()))
    return Template(
        source,
        frozenset(names),
        frozenset(_syntax.find_optional(own.values())),
        _compile_blocks(environment, own),
        _compile_blocks(environment, default),
        plain_question=_syntax.prints_only((default | own)["question"], "question"),
    )


def _compile_blocks(environment: Sandbox, blocks: Mapping[str, nodes.Block]) -> JinjaTemplate:
    tree = nodes.Template(list(blocks.values()), lineno=1)
    tree.set_environment(environment)
    try:
        return environment.from_string(tree)
    except (TemplateError, SyntaxError, RecursionError, ValueError) as error:
        # Python's own syntax errors count the lines of the generated code.
        line = error.lineno if isinstance(error, TemplateSyntaxError) else 1
        raise TemplateInvalid(f"{_describe(error)}; correct the template there", line) from error


def _describe(error: BaseException) -> str:
    if isinstance(error, TemplateError):
        return error.message or type(error).__name__
    return f"{error}; compare and use only values of the kinds that belong together"
