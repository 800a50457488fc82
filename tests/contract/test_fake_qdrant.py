"""The Qdrant server that tests have over HTTP refuses what a real one would."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("qdrant_edge", reason="needs the model environment")

import httpx

from tests.fakes.qdrant import FakeQdrant

pytestmark = pytest.mark.model

LAYOUT = {"vectors": {"dense": {"size": 3, "distance": "Cosine"}}, "sparse_vectors": {"bm25": {"modifier": "idf"}}}
ID = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeQdrant]:
    with FakeQdrant("a-key").running() as fake:
        yield fake


def call(server: FakeQdrant, method: str, path: str, body: Any, key: str = "a-key", **query: str) -> httpx.Response:
    return httpx.request(method, server.url + path, json=body, headers={"api-key": key}, params=query, timeout=30)


@pytest.fixture(scope="module", autouse=True)
def collection(server: FakeQdrant) -> None:
    assert call(server, "PUT", "/collections/c", LAYOUT).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/collections/c", LAYOUT, 400),
        ("PUT", "/collections/d", LAYOUT | {"vectorz": {}}, 400),
        ("PUT", "/collections/d", LAYOUT | {"vectors": {"dense": {"size": "3", "distance": "Cosine"}}}, 400),
        ("PUT", "/collections/none/points", {"points": []}, 404),
        ("PUT", "/collections/c/points", {"points": [{"id": ID, "vector": {"other": [1, 0, 0]}}]}, 400),
        ("PUT", "/collections/c/points", {"points": [{"id": ID, "vector": {"dense": [1, 0]}}]}, 400),
        ("PUT", "/collections/c/points", {"points": [{"id": ID, "vector": {"dense": [1, 0, 0]}, "more": 1}]}, 400),
        ("POST", "/collections/c/points/scroll", {"filter": {"mist": []}}, 400),
        ("POST", "/collections/c/points/scroll", {"filter": {"must": [{"key": "a", "match": {"eq": 1}}]}}, 400),
        ("POST", "/collections/c/points/query/batch", {"searches": [{"query": [1, 0, 0], "using": "sparse"}]}, 400),
        ("POST", "/collections/c/points/query/batch", {"searches": [{"query": [1, 0, 0], "using": "bm25"}]}, 400),
        (
            "POST",
            "/collections/c/points/query/batch",
            {"searches": [{"query": [1, 0, 0], "using": "dense", "params": {"idf": {"corpse": {}}}}]},
            400,
        ),
        ("POST", "/collections/c/points/search", {"vector": [1, 0, 0], "limit": 1}, 400),
    ],
)
def test_what_breaks_a_shape_or_a_rule_is_refused(
    server: FakeQdrant, method: str, path: str, body: Any, status: int
) -> None:
    known = len(server.faults)
    answer = call(server, method, path, body)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"]["error"]
    assert len(server.faults) == known + (status == 400)


def test_a_key_that_nobody_wants_and_a_client_of_another_age_are_refused(server: FakeQdrant) -> None:
    with FakeQdrant().running() as open_:
        assert call(open_, "GET", "/collections/c/exists", None).status_code == 400
        for version, status in (("1.20.0", 200), ("1.18.4", 200), ("1.17.0", 400), ("1.21.0", 400)):
            headers = {"user-agent": f"python-client/{version} python/3.11.7"}
            answer = httpx.get(f"{open_.url}/collections/c/exists", headers=headers, timeout=30)
            assert answer.status_code == status, answer.text


def test_a_request_without_the_key_or_with_a_parameter_of_its_own_is_refused(server: FakeQdrant) -> None:
    point = {"points": [{"id": ID, "vector": {"dense": [1.0, 0.0, 0.0]}}]}
    assert call(server, "PUT", "/collections/c/points", point, key="another").status_code == 401
    assert call(server, "PUT", "/collections/c/points", point, hurry="yes").status_code == 400
    answer = call(server, "PUT", "/collections/c/points", point, wait="true")
    assert answer.json()["result"]["status"] == "completed"
    recorded = server.requests[-1]
    assert (recorded.method, recorded.query, recorded.body) == ("PUT", {"wait": "true"}, point)
    assert recorded.headers["api-key"] == "a-key"
