"""Null for a member that may be left out, in every body of OpenAI's contract that FastAPI or pydantic decodes."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from gateway.embeddings.schemas import EmbeddingCreate
from gateway.vector_stores.schemas import VectorStoreSearch
from tests.architecture.test_routes import routes


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models_in(field.annotation)
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _list_bodies() -> list[type[BaseModel]]:
    bodies = [
        field.field_info.annotation
        for route in routes()
        for field in route.dependant.body_params
        if route.path.startswith("/v1/")
    ]
    models = [model for body in (EmbeddingCreate, *bodies) for model in _models_in(body)]
    return sorted(set(models), key=lambda model: model.__name__)


def test_every_member_that_may_be_left_out_may_be_null() -> None:
    models = _list_bodies()
    assert {EmbeddingCreate, VectorStoreSearch} <= set(models)
    refused: list[str] = []
    for model in models:
        for name, field in model.model_fields.items():
            member = field.alias or name
            try:
                model.model_validate({member: None})
            except ValidationError as error:
                if member in {problem["loc"][0] for problem in error.errors() if problem["loc"]}:
                    refused += [] if field.is_required() else [f"{model.__name__}.{member}"]
    assert refused == []


def test_null_is_the_default_and_what_must_be_there_is_missing() -> None:
    search = VectorStoreSearch.model_validate({"query": "x", "max_num_results": None, "ranking_options": None})
    assert search == VectorStoreSearch(query="x")
    for body, kind in (({"query": None}, "string_type"), ({"query": "x", "other": None}, "extra_forbidden")):
        with pytest.raises(ValidationError) as caught:
            VectorStoreSearch.model_validate(body)
        assert kind in {problem["type"] for problem in caught.value.errors()}
