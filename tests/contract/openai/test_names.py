"""Answers of `/v1` bear the names that OpenAI gives them: those of its package for Python, or of its description."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

import openai.types
import pytest

from tests.gateway.declared import describe_api

OWN = {
    "Eval": "the package has a class per method; OpenAI's description has this one",
    "EvalDeleted": "the package has `EvalDeleteResponse`; the others that are deleted are named so",
    "EvalRun": "of the description, as `Eval` is",
    "EvalRunDeleted": "as `EvalDeleted`",
    "EvalRunOutputItem": "of the description",
    "VectorStoreFileContent": "the package's `vector_stores.FileContentResponse`, a page",
    "VectorStoreSearchResultsPage": "of the description; the package has its items, `VectorStoreSearchResponse`",
}


@cache
def list_openai_names() -> frozenset[str]:
    modules = pkgutil.walk_packages(openai.types.__path__, "openai.types.")
    return frozenset(name for module in modules for name in vars(importlib.import_module(module.name)))


def iterate_references(schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].rsplit("/", 1)[-1]
    for kind in ("anyOf", "oneOf", "allOf"):
        for member in schema.get(kind, ()):
            yield from iterate_references(member)


def list_answer_names() -> set[str]:
    return {
        name
        for path, operations in describe_api()["paths"].items()
        if path.startswith("/v1/")
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if status.startswith("2")
        for body in response.get("content", {}).values()
        for name in iterate_references(body.get("schema", {}))
    }


ANSWERS = sorted(list_answer_names())


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_v1_bears_the_name_that_openai_gives_it(name: str) -> None:
    item = name.removesuffix("List")
    assert list_openai_names() & {name, item} or item in OWN


def test_names_of_our_own_are_still_needed() -> None:
    for name in OWN:
        assert name in ANSWERS
        assert name not in list_openai_names()
