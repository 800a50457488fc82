"""A Qdrant server over HTTP that holds every request to Qdrant's published shapes, and answers from its local mode.

qdrant-client's models are generated from the server's OpenAPI: they forbid fields that it doesn't know. Beyond them,
the server's own rules are checked for what Braid uses: collections, names and sizes of vectors, query parameters. What
breaks one is answered with 400, as by the server, and stays in `faults`. It has no ranking of its own: local mode has.
"""

import json
import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

__all__ = ["Answer", "FakeQdrant", "Recorded"]

_VERSION = "1.19.0"
_CLIENT = re.compile(r"python-client/1\.(?P<minor>\d+)\.\d+")
"""What qdrant-client calls itself; it gets on with servers of the minor before and after its own, by Qdrant's word."""

_CHANGES, _READS = {"wait", "ordering", "timeout"}, {"consistency", "timeout"}


class _Refused(Exception):
    """The server's 400 or 404."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came: `query` has each parameter's first value."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP, also of a server in trouble, or of what stands before it."""

    status: int
    body: bytes = b'{"status":{"error":"the fake was told to fail"},"time":0.0}'
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Collection:
    vectors: dict[str, int]
    sparse: set[str]
    indexes: dict[str, Any] = field(default_factory=dict[str, Any])


class FakeQdrant:
    """The server; `requests` are those that came, `faults` what broke a shape or a rule; it wants the `key`.

    A request that `trouble` returns something for is answered by that.
    """

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.requests: list[Recorded] = []
        self.faults: list[str] = []
        self.trouble: Callable[[Recorded], Answer | None] = lambda _: None
        self.collections: dict[str, _Collection] = {}
        self._local = QdrantClient(":memory:")
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Generator["FakeQdrant"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
            self._local.close()

    def lose_collections(self) -> None:
        """Forget all, as a server does whose disk was another one's."""
        with self._lock:
            for name in self.collections:
                self._local.delete_collection(name)
            self.collections.clear()

    def answer(self, request: Recorded, raw: bytes) -> Answer:
        """Return the answer to a request."""
        with self._lock:
            self.requests.append(request)
        if (trouble := self.trouble(request)) is not None:
            return trouble
        status, body = self._find_answer(request, raw)
        return Answer(status, json.dumps(body).encode())

    def _find_answer(self, request: Recorded, raw: bytes) -> tuple[int, dict[str, Any]]:
        with self._lock:
            try:
                return 200, self._answer(request, raw)
            except _Refused as error:
                fault, status = str(error), error.status
            except ValidationError as error:
                fault, status = f"{request.method} {request.path}: {error}", 400
            if status == 400:
                self.faults.append(fault)
            return status, {"status": {"error": fault}, "time": 0.0}

    def _answer(self, request: Recorded, raw: bytes) -> dict[str, Any]:
        if self.key is not None and request.headers.get("api-key") != self.key:
            raise _Refused("Must provide an API key or an Authorization bearer token", 401)
        if self.key is None and {"api-key", "authorization"} & request.headers.keys():
            raise _Refused("A key was sent to a server that wants none")
        client = _CLIENT.match(request.headers.get("user-agent", ""))
        if client is not None and abs(int(client["minor"]) - int(_VERSION.split(".")[1])) > 1:
            raise _Refused(
                f"The client {client[0]} isn't made for the server {_VERSION}: their minors differ by more than 1"
            )
        if (request.method, request.path) == ("GET", "/"):
            return {"title": "qdrant - vector search engine", "version": _VERSION}
        for method, pattern, shape, parameters, work in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match is None or method != request.method:
                continue
            if more := request.query.keys() - parameters:
                raise _Refused(f"{request.path} has no parameter {', '.join(sorted(more))}")
            if shape is not None and not request.headers.get("content-type", "").startswith("application/json"):
                raise _Refused(f"{request.path} takes application/json")
            body = None if shape is None else TypeAdapter[Any](shape).validate_json(raw, strict=True)
            result = work(self, match["collection"], body)
            return {"result": _to_json(result), "status": "ok", "time": 0.0}
        raise _Refused(f"there is no {request.method} {request.path}")

    def _get(self, name: str) -> _Collection:
        if name not in self.collections:
            raise _Refused(f"Not found: Collection `{name}` doesn't exist!", 404)
        return self.collections[name]

    def exists(self, name: str, _body: None) -> dict[str, bool]:
        return {"exists": name in self.collections}

    def create(self, name: str, body: models.CreateCollection) -> bool:
        if name in self.collections:
            raise _Refused(f"Wrong input: Collection `{name}` already exists!")
        vectors, sparse = body.vectors, body.sparse_vectors or {}
        if not isinstance(vectors, dict):
            raise _Refused("the vectors of this index have names")
        self._local.create_collection(name, vectors_config=vectors, sparse_vectors_config=sparse)
        self.collections[name] = _Collection({key: one.size for key, one in vectors.items()}, set(sparse))
        return True

    def create_index(self, name: str, body: models.CreateFieldIndex) -> models.UpdateResult:
        self._get(name).indexes[body.field_name] = body.field_schema
        return _DONE

    def upsert(self, name: str, body: models.PointsList) -> models.UpdateResult:
        collection = self._get(name)
        for point in body.points:
            if not isinstance(point.vector, dict):
                raise _Refused("Wrong input: Not existing vector name error: ")
            for key, vector in point.vector.items():
                self._check_vector(collection, key, vector)
        self._local.upsert(name, body.points, update_filter=body.update_filter, update_mode=body.update_mode)
        return _DONE

    def query_batch(self, name: str, body: models.QueryRequestBatch) -> Sequence[BaseModel]:
        collection = self._get(name)
        for search in body.searches:
            self._check_query(collection, search)
        return self._local.query_batch_points(name, body.searches)

    def _check_query(self, collection: _Collection, search: models.QueryRequest | models.Prefetch) -> None:
        query = search.query.nearest if isinstance(search.query, models.NearestQuery) else search.query
        self._check_vector(collection, search.using or "", query)
        prefetch = search.prefetch or []
        for inner in prefetch if isinstance(prefetch, list) else [prefetch]:
            if inner.filter is None:
                raise _Refused("a prefetch without a filter searches the points of every tenant")
            self._check_query(collection, inner)

    def _check_vector(self, collection: _Collection, name: str, vector: Any) -> None:
        if name in collection.sparse:
            if not isinstance(vector, models.SparseVector):
                raise _Refused(f"Wrong input: the vector {name!r} is sparse")
            if len(vector.indices) != len(vector.values) or len(set(vector.indices)) != len(vector.indices):
                raise _Refused("Validation error: indices of a sparse vector must be unique, one per value")
        elif name not in collection.vectors:
            raise _Refused(f"Wrong input: Not existing vector name error: {name}")
        elif not isinstance(vector, list) or len(cast("list[float]", vector)) != collection.vectors[name]:
            raise _Refused(f"Wrong input: Vector dimension error: expected dim: {collection.vectors[name]}")

    def scroll(self, name: str, body: models.ScrollRequest) -> models.ScrollResult:
        self._get(name)
        points, after = cast(
            "tuple[list[models.Record], str | None]",
            self._local.scroll(
                name,
                scroll_filter=body.filter,
                limit=body.limit or 10,
                offset=body.offset,
                with_payload=True if body.with_payload is None else body.with_payload,
                with_vectors=body.with_vector or False,
            ),
        )
        return models.ScrollResult(points=points, next_page_offset=after)

    def set_payload(self, name: str, body: models.SetPayload) -> models.UpdateResult:
        self._get(name)
        if body.filter is None:
            raise _Refused("this index changes points by filter")
        self._local.set_payload(name, body.payload, points=body.filter)
        return _DONE

    def delete(self, name: str, body: models.FilterSelector) -> models.UpdateResult:
        self._get(name)
        self._local.delete(name, body)
        return _DONE

    def count(self, name: str, body: models.CountRequest) -> models.CountResult:
        self._get(name)
        return self._local.count(name, count_filter=body.filter, exact=True if body.exact is None else body.exact)


_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
_NAME = r"/collections/(?P<collection>[^/]+)"
_Work = Callable[[FakeQdrant, str, Any], Any]
_ROUTES: tuple[tuple[str, str, Any, set[str], _Work], ...] = (
    ("GET", f"{_NAME}/exists", None, set(), FakeQdrant.exists),
    ("PUT", _NAME, models.CreateCollection, {"timeout"}, FakeQdrant.create),
    ("PUT", f"{_NAME}/index", models.CreateFieldIndex, _CHANGES, FakeQdrant.create_index),
    ("PUT", f"{_NAME}/points", models.PointsList, _CHANGES, FakeQdrant.upsert),
    ("POST", f"{_NAME}/points/query/batch", models.QueryRequestBatch, _READS, FakeQdrant.query_batch),
    ("POST", f"{_NAME}/points/scroll", models.ScrollRequest, _READS, FakeQdrant.scroll),
    ("POST", f"{_NAME}/points/payload", models.SetPayload, _CHANGES, FakeQdrant.set_payload),
    ("POST", f"{_NAME}/points/delete", models.FilterSelector, _CHANGES, FakeQdrant.delete),
    ("POST", f"{_NAME}/points/count", models.CountRequest, _READS, FakeQdrant.count),
)
"""Method, path, the body's published shape, the query parameters that the server knows, and the work behind."""


def _to_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_to_json(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def _handler_of(fake: FakeQdrant) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            answer = fake.answer(Recorded(self.command, address.path, query, headers, body), raw)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
