"""HTTP as clients, monitors and browsers speak it: HEAD, compressed bodies, and preflights."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.settings import Settings
from tests.architecture.test_routes import routes
from tests.fakes.passages import FakePassages
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, running

ORIGIN = "https://app.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}
ASK = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.case("gw-head")
async def test_head_is_get_without_a_body_everywhere(gateway: Gateway, passages: FakePassages) -> None:
    client = await gateway.tenant("kestrel")
    paths = [route.path for route in routes() if "GET" in (route.methods or ()) and "{" not in route.path]
    assert {"/healthz", "/readyz", "/metrics", "/v1/models"} <= set(paths)
    for path in paths:
        whole, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        assert head.headers["content-type"] == whole.headers["content-type"]
    assert (await client.head("/v1/models/nothing")).status_code == 404
    assert (await client.head(CHAT)).status_code == 405


@pytest.mark.parametrize("path", [CHAT, "/v1/vector_stores", "/v1/files"])
@pytest.mark.case("gw-compressed-and-chunked")
async def test_a_compressed_body_is_refused_with_the_reason(gateway: Gateway, path: str) -> None:
    client = await gateway.tenant("kestrel")
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = await client.post(path, content=gzip.compress(json.dumps(ASK).encode()), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")
    assert "content-encoding" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [CHAT, "/v1/vector_stores", "/api/vector_stores/vs/documents/a.md"])
async def test_a_body_in_another_transfer_encoding_than_chunks_is_not_taken_for_what_it_decodes_to(
    gateway: Gateway, path: str
) -> None:
    client = await gateway.tenant("kestrel")
    body = gzip.compress(json.dumps(ASK).encode())
    for encoding, status in (("gzip, chunked", b"415"), ("Chunked", b"404" if "documents" in path else b"400")):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        method = "PUT" if "documents" in path else "POST"
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {encoding}\r\n".encode())
        writer.write(f"authorization: {client.headers['authorization']}\r\nconnection: close\r\n\r\n".encode())
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.split()[1] == status
        writer.close()
        if status == b"415":
            assert b"The body has a transfer-encoding" in answer


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/vector_stores/vs/documents/a.md"), ("POST", CHAT)])
async def test_a_part_of_something_does_not_replace_the_whole(gateway: Gateway, method: str, path: str) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.request(method, path, content=b"abcd", headers={"content-range": "bytes 0-3/10"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_range")


async def test_a_part_of_a_form_is_not_kept_in_an_encoding(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    for encoding, status in (("base64", 415), ("Quoted-Printable", 415), ("binary", 200), ("8bit", 200)):
        parts = [
            'content-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n',
            'content-disposition: form-data; name="file"; filename="a.md"\r\n'
            f"content-transfer-encoding: {encoding}\r\n\r\naGVsbG8=\r\n",
        ]
        body = "".join(f"--B\r\n{part}" for part in parts) + "--B--\r\n"
        headers = {"content-type": "multipart/form-data; boundary=B"}
        answer = await client.post("/v1/files", content=body.encode(), headers=headers)
        assert answer.status_code == status
        if status == 415:
            assert answer.json()["error"]["code"] == "unsupported_encoding"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
async def test_json_that_is_not_in_utf_8_is_refused_with_the_reason(gateway: Gateway, encoding: str) -> None:
    client = await gateway.tenant("kestrel")
    body = '{"model": "base", "messages": [{"role": "user", "content": "é"}]}'.encode(encoding)
    answer = await client.post(CHAT, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_json")
    assert "UTF-8" in error["message"]


@pytest.mark.case("gw-compressed-and-chunked")
async def test_bodies_without_a_length_are_taken(gateway: Gateway) -> None:
    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), 7):
            yield data[start : start + 7]

    client = await gateway.tenant("kestrel")
    headers = {"content-type": "application/json"}
    chat = await client.post(CHAT, content=pieces(json.dumps(ASK).encode()), headers=headers)
    store = await client.post("/v1/vector_stores", content=pieces(b'{"name": "docs"}'), headers=headers)
    path = f"/api/vector_stores/{store.json()['id']}/documents/a.md"
    document = await client.put(path, content=pieces(b"It costs 49 euros."))
    assert [answer.status_code for answer in (chat, store, document)] == [200] * 3


@pytest.mark.case("gw-compressed-and-chunked")
async def test_a_client_that_waits_to_be_told_to_send_its_body_is_told(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    url, body = httpx2.URL(gateway.url), json.dumps(ASK).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: {url.host}\r\nauthorization: {client.headers['authorization']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n"
        "connection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head.encode())
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).startswith(b"HTTP/1.1 100")
    writer.write(body)
    assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/embeddings", "/v1/files", "/api/assistants"])
async def test_a_body_over_the_limit_is_refused_before_any_of_it_is_asked_for(gateway: Gateway, path: str) -> None:
    client = await gateway.tenant("kestrel")
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {client.headers['authorization']}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: 5000000000\r\n".encode())
    writer.write(b"expect: 100-continue\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 30)).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize("path", ["/v1/vector_stores", CHAT + "/", "/api/prompts"])
@pytest.mark.parametrize("key", ["", "sk-braid-unknown"])
async def test_a_body_over_the_limit_by_its_length_is_refused_in_the_envelope(
    gateway: Gateway, path: str, key: str
) -> None:
    client = gateway.client(key) if key else await gateway.tenant("kestrel")
    answer = await client.post(path, json={"name": "x" * 17 * 1024**2})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/json")
    assert answer.json()["error"]["code"] == "payload_too_large"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_json_under_another_name_is_refused_with_the_right_one(gateway: Gateway, kind: str | None) -> None:
    client = await gateway.tenant("kestrel")
    headers = {} if kind is None else {"content-type": kind}
    answer = await client.post("/v1/vector_stores", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_content_type")
    assert "application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b'{"name":"\xff"}', b'{"metadata":' + b"[" * 100_000, b'{"name":' + b"9" * 5000 + b"}"]
)
async def test_a_body_that_the_parser_gives_up_on_is_no_json(gateway: Gateway, body: bytes) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.post("/v1/vector_stores", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        ("/v1/fine_tuning/jobs", {"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "equal to 50"),
        (
            "/v1/fine_tuning/jobs",
            {"hyperparameters": {"n_epochs": 1.5}},
            "hyperparameters.n_epochs",
            "'auto' or a valid",
        ),
        ("/v1/vector_stores/vs/search", {"query": ""}, "query", "at least 1 character"),
        ("/v1/vector_stores/vs/search", {"query": []}, "query", "at least 1 item"),
        ("/v1/vector_stores/vs/search", {"query": ["a", ""]}, "query[1]", "at least 1 character"),
        ("/v1/vector_stores/vs/search", {"query": None}, "query", "a valid string or a valid list"),
        (
            "/v1/vector_stores/vs/files",
            {"file_id": "f", "attributes": {"a": None}},
            "attributes.a",
            "a valid string or",
        ),
        ("/v1/vector_stores/vs/files", {"file_id": "f", "attributes": {"a": 10**30}}, "attributes.a", "64 bits"),
        ("/v1/vector_stores", {"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 65}", "at most 64"),
        ("/v1/vector_stores", {"chunking_strategy": {"type": "static"}}, "chunking_strategy.static", "required"),
    ],
)
async def test_a_field_at_fault_is_named_as_the_request_has_it(
    gateway: Gateway, path: str, body: dict[str, Any], param: str, says: str
) -> None:
    client = await gateway.tenant("kestrel")
    required = {"model": "base", "training_file": "f"} if "jobs" in path else {}
    error = (await client.post(path, json=required | body)).json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert says in error["message"]


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_identity_is_no_encoding(encoding: str, gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    assert (await client.post(CHAT, json=ASK, headers={"content-encoding": encoding})).status_code == 200


@pytest.mark.case("gw-cors-preflight")
async def test_no_web_page_may_call_by_default(gateway: Gateway) -> None:
    async with httpx2.AsyncClient(base_url=gateway.url) as page:
        preflight = await page.options(CHAT, headers=PREFLIGHT)
        answer = await page.get("/healthz", headers={"origin": ORIGIN})
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers | answer.headers


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
@pytest.mark.case("gw-cors-preflight")
async def test_pages_of_the_origins_given_may_call(settings: Settings, engine: FakeVllm, allowed: str) -> None:
    async with running(settings.model_copy(update={"cors_origins": (allowed,)})) as gateway:
        async with httpx2.AsyncClient(base_url=gateway.url) as page:
            preflight = await page.options(CHAT, headers=PREFLIGHT)
            other = await page.options(CHAT, headers=PREFLIGHT | {"origin": "https://evil.example"})
            denied = await page.post(CHAT, json=ASK, headers={"origin": ORIGIN})
        client = await gateway.tenant("kestrel")
        answer = await client.post(CHAT, json=ASK, headers={"origin": ORIGIN})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == allowed
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    assert (other.status_code == 200) == (allowed == "*")
    if allowed != "*":
        assert (other.status_code, other.json()["error"]["code"]) == (403, "origin_not_allowed")
        assert not any(name.startswith("access-control-") for name in other.headers)
        assert "origin" in other.headers["vary"].lower()
    assert denied.status_code == 401  # a preflight is free, an answer isn't
    assert denied.headers["access-control-allow-origin"] == allowed
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == allowed
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/models/", "/v1//models", "//v1/models", "/v1/models//", "/api/assistants/"])
async def test_extra_slashes_are_no_other_path(gateway: Gateway, path: str) -> None:
    client = await gateway.tenant("kestrel")
    plain = "/api/assistants" if "assistants" in path else "/v1/models"
    answer = await client.get(gateway.url + path)
    assert answer.status_code == 200
    assert answer.json() == (await client.get(plain)).json()


async def test_a_parameter_without_a_value_is_as_none(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    for name in ("a", "b"):
        await client.post("/v1/vector_stores", json={"name": name})
    for path in ("/v1/vector_stores", "/v1/files", "/v1/fine_tuning/jobs", "/v1/evals", "/api/assistants"):
        plain = (await client.get(path)).json()
        empty = await client.get(f"{path}?after=&before=&limit=&order=")
        assert (empty.status_code, empty.json()) == (200, plain)
    (first,) = (await client.get("/v1/vector_stores?limit=1&after=&order=asc&")).json()["data"]
    assert first["name"] == "a"
    assert (await client.get("/v1/vector_stores?after==")).status_code == 400  # a value, and no cursor


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1//chat/completions"])
async def test_a_chat_with_extra_slashes_is_answered(gateway: Gateway, path: str) -> None:
    client = await gateway.tenant("kestrel")
    body = {"model": "base", "messages": [{"role": "user", "content": "Hello"}]}
    assert (await client.post(gateway.url + path, json=body)).status_code == 200
    refused = await gateway.client("sk-braid-unknown").post(gateway.url + path, json=body)
    assert refused.status_code == 401


async def test_a_documents_key_keeps_its_slashes(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    for key in ("a", "a/b", "v1/documents/b"):
        put = await client.put(f"{gateway.url}/api/vector_stores/{store}/documents/{key}", content=b"text")
        assert put.status_code == 200, put.text
        assert put.json()["key"] == key


async def test_a_method_that_a_path_does_not_have_is_named(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    answer = await client.patch("/v1/models")
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert "can't be asked with PATCH" in answer.json()["error"]["message"]
