"""A Responses request's `tools`: functions for the engine, and `file_search`, which Braid does itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from gateway.assistants.release import RetrievalSpec
from gateway.errors import BadRequest
from gateway.openai_format.bounds import MAX_TOOLS, check_callable, check_format
from gateway.openai_format.bounds import check_tools as check_functions
from gateway.openai_format.choice_subset import find_allowed
from gateway.vector_stores.retriever_errors import check_filters
from retrieval.answer_probability import LEAST_PROBABILITY
from retrieval.messages import Weights

__all__ = [
    "Callables",
    "FileSearchRanking",
    "FileSearchSpec",
    "FileSearchWeights",
    "FunctionSpec",
    "check_text_format",
    "check_tools",
]

_MAX_STORES = 64
_DEFAULT_RESULTS = 5  # as a release has it: ten long passages are more than a small model's context holds


Spec = TypeVar("Spec")


class FileSearchWeights(msgspec.Struct, forbid_unknown_fields=True):
    """The shares of meaning and words in a score, as a search in a vector store has them: only their ratio counts."""

    embedding_weight: Annotated[float, Meta(ge=0, le=1e6)]
    text_weight: Annotated[float, Meta(ge=0, le=1e6)]

    def __post_init__(self) -> None:
        if not self.embedding_weight + self.text_weight:
            raise ValueError("embedding_weight and text_weight must not both be 0")


class FileSearchRanking(msgspec.Struct, forbid_unknown_fields=True):
    """The least score of a passage, and its parts; `ranker` is taken for the sake of the contract.

    `least_probability` is Braid's own: where no passage answers with it, the model gets none, as in a release.
    """

    ranker: str | None = None
    score_threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    hybrid_search: FileSearchWeights | None = None
    least_probability: Annotated[float, Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET


class FileSearchSpec(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="file_search"):
    """The tenant's stores that are searched for the answer, and the way."""

    vector_store_ids: Annotated[list[str], Meta(min_length=1, max_length=_MAX_STORES)]
    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None = None
    ranking_options: FileSearchRanking | None = None
    filters: dict[str, Any] | None = None


class FunctionSpec(msgspec.Struct, kw_only=True, tag_field="type", tag="function"):
    """A function of the client's that the model may call."""

    name: str
    parameters: dict[str, Any] | None
    strict: bool | None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Callables:
    """A request's tools.

    Attributes:
        echo: All of them, as the response repeats them.
        functions: Those that this answer may call, as chat and the engines have them.
        choice: The choice of a function, likewise; None leaves it to the model.
        search: The search of `file_search`; None where it isn't asked for, or not for this answer.
    """

    echo: tuple[FileSearchSpec | FunctionSpec, ...] = ()
    functions: tuple[dict[str, Any], ...] = ()
    choice: str | dict[str, Any] | None = None
    search: RetrievalSpec | None = None


def check_tools(
    tools: list[dict[str, Any]] | None, choice: str | dict[str, Any] | None, *, grammars: bool
) -> Callables:
    """Check `tools` and `tool_choice`.

    Raises:
        BadRequest: There are more than 128, one is neither a function nor `file_search`, or its members can't be used.
    """
    specs: list[FileSearchSpec | FunctionSpec] = []
    functions: dict[int, dict[str, Any]] = {}
    searches: dict[int, RetrievalSpec] = {}
    if len(tools or ()) > MAX_TOOLS:
        raise BadRequest(f"There are more than {MAX_TOOLS} tools.", param="tools")
    allowed, choice = find_allowed(tools, choice)
    for index, tool in enumerate(tools or ()):
        where = f"tools[{index}]"
        if tool.get("type") == "file_search":
            if searches:
                raise BadRequest("There are two file_search tools. Name all stores in one.", param=where)
            file_search = _convert(tool, FileSearchSpec, where)
            searches[index] = _to_search(file_search, where)
            specs.append(file_search)
        elif tool.get("type") == "function":
            functions[index] = _check_function(tool, where, choice, grammars=grammars)
            specs.append(_convert({"parameters": None, "strict": None, **tool}, FunctionSpec, where))
        else:
            raise BadRequest(
                f"A tool has the type {str(tool.get('type'))[:50]!r}. Use 'file_search' or 'function'.",
                param=f"{where}.type",
                code="unsupported_tool",
            )
    tool_choice = _to_choice(choice)
    callable_functions = tuple(functions[place] for place in allowed if place in functions)
    if isinstance(tool_choice, dict) or (tool_choice == "required" and not specs):
        check_callable(tool_choice, [function["function"]["name"] for function in callable_functions])
    search = _choose_search([searches[place] for place in allowed if place in searches], callable_functions, choice)
    return Callables(tuple(specs), callable_functions, tool_choice, search)


def check_text_format(form: Mapping[str, Any] | None, *, grammars: bool) -> dict[str, Any] | None:
    """Check `text.format`, and return it as chat and the engines have it.

    Raises:
        BadRequest: It is of another type than text, json_object and json_schema, or its schema is beyond a bound.
    """
    if form is not None and form.get("type") == "json_schema":
        form = {"type": "json_schema", "json_schema": {name: form[name] for name in form if name != "type"}}
    try:
        return check_format(form, grammars=grammars)
    except BadRequest as error:
        param = (error.param or "").replace(".json_schema", "").replace("response_format", "text.format")
        raise BadRequest(_rename(error.message), param=param, code=error.code) from None


def _check_function(
    tool: dict[str, Any], where: str, choice: str | dict[str, Any] | None, *, grammars: bool
) -> dict[str, Any]:
    forced = "required" if _to_choice(choice) not in (None, "none", "auto") else None
    function = {name: value for name, value in tool.items() if name != "type" and value is not None}
    try:
        functions = check_functions([{"type": "function", "function": function}], forced, grammars=grammars)
    except BadRequest as error:
        param = (error.param or "").replace("tools[0].function", where)
        message = error.message.replace("tools[0].function", where)
        raise BadRequest(message, param=param, code=error.code) from None
    assert functions is not None
    return functions[0]


def _to_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict):
        if choice.get("type") == "function" and isinstance(choice.get("name"), str):
            return {"type": "function", "function": {"name": choice["name"]}}
        if choice.get("type") == "file_search":
            return None  # it is made for each answer
    elif choice is None or choice in ("none", "auto", "required"):
        return choice
    raise BadRequest(
        "tool_choice is one of none, auto and required, or names a function or file_search: "
        '{"type": "function", "name": …}.',
        param="tool_choice",
    )


def _choose_search(
    searches: Sequence[RetrievalSpec], functions: Sequence[object], choice: str | dict[str, Any] | None
) -> RetrievalSpec | None:
    """Return the search that is made. Where no other way to answer is left, small talk is searched for, too."""
    asks_for_it = isinstance(choice, dict) and choice.get("type") == "file_search"
    if asks_for_it and not searches:
        raise BadRequest("tool_choice asks for file_search, which isn't one of the tools.", param="tool_choice")
    if choice == "none" or not searches:
        return None
    forced = asks_for_it or (choice == "required" and not functions)
    return msgspec.structs.replace(searches[0], when="always" if forced else "auto")


def _to_search(tool: FileSearchSpec, where: str) -> RetrievalSpec:
    """Return the search as a release would have it, with a release's defaults."""
    if tool.filters is not None:
        check_filters(tool.filters, param=f"{where}.filters")
    ranking = tool.ranking_options or FileSearchRanking()
    least, shares = ranking.least_probability, ranking.hybrid_search
    return RetrievalSpec(
        tuple(dict.fromkeys(tool.vector_store_ids)),
        tool.max_num_results or _DEFAULT_RESULTS,
        ranking.score_threshold or 0.0,
        filters=msgspec.UNSET if tool.filters is None else tool.filters,
        least_probability=LEAST_PROBABILITY if least is msgspec.UNSET else least,
        when="auto",
        weights=msgspec.UNSET if shares is None else Weights(shares.embedding_weight, shares.text_weight),
    )


def _convert(tool: dict[str, Any], kind: type[Spec], where: str) -> Spec:
    try:
        return msgspec.convert(tool, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{where} can't be used: {error}.", param=where) from None


def _rename(message: str) -> str:
    return message.replace("response_format.json_schema", "text.format").replace("response_format", "text.format")
