import asyncio
import io
import json
import os
from typing import Any

import httpx2
import openai
import pytest

from tests.gateway.conftest import Gateway, on_both_databases

ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy."}]}


async def upload(
    client: httpx2.AsyncClient, data: bytes, name: str = "facts.txt", purpose: str = "assistants"
) -> httpx2.Response:
    return await client.post("/v1/files", data={"purpose": purpose}, files={"file": (name, data)})


async def upload_file(client: httpx2.AsyncClient, data: bytes = b"Refunds.", **more: Any) -> dict[str, Any]:
    response = await upload(client, data, **more)
    assert response.status_code == 200, response.text
    return response.json()


def fault(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    return response.json()["error"]


@pytest.fixture
async def tenant(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


@on_both_databases
async def test_what_was_uploaded_comes_back(tenant: httpx2.AsyncClient) -> None:
    data = os.urandom(3_000_000)
    file = await upload_file(tenant, data, name="a/b\\kettle.pdf", purpose="user_data")
    assert file["bytes"] == len(data)
    assert (file["filename"], file["purpose"], file["status"], file["expires_at"]) == (
        *("kettle.pdf", "user_data", "processed"),
        None,
    )
    assert (await tenant.get(f"/v1/files/{file['id']}")).json() == file
    content = await tenant.get(f"/v1/files/{file['id']}/content")
    assert content.content == data
    assert content.headers["content-type"] == "application/pdf"
    assert content.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("part", ["bytes=0-3", "bytes=0-1,3-4", "bytes=9999-", "bytes=5-2", "lines=1-2", "none"])
async def test_a_file_comes_whole_whatever_part_is_asked_for(tenant: httpx2.AsyncClient, part: str) -> None:
    """The client holds the status and the type against the OpenAPI, which has neither a 206 nor a 416."""
    file = await upload_file(tenant, b"0123456789", name="x.txt", purpose="user_data")
    content = await tenant.get(f"/v1/files/{file['id']}/content", headers={"range": part})
    assert (content.status_code, content.content) == (200, b"0123456789")
    assert content.headers["accept-ranges"] == "none"


@pytest.mark.parametrize("name", ["upload", "file", "unknown_file"])
async def test_training_rows_that_a_client_got_as_bytes_are_taken(tenant: httpx2.AsyncClient, name: str) -> None:
    # The names that OpenAI's Python clients, of today and of 0.28, and its client for Node give to them.
    answer = await upload(tenant, json.dumps(ROW).encode(), name, "fine-tune")
    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"] == name


async def test_the_openai_client_can_do_it_all(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    key = tenant.headers["authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
        file = await client.files.create(file=("rows.jsonl", json.dumps(ROW).encode()), purpose="fine-tune")
        assert (await client.files.retrieve(file.id)).filename == "rows.jsonl"
        assert [each.id async for each in client.files.list()] == [file.id]
        assert (await client.files.content(file.id)).content == json.dumps(ROW).encode()
        assert (await client.files.delete(file.id)).deleted


async def test_the_purpose_may_come_after_the_file(tenant: httpx2.AsyncClient) -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="x.txt"\r\n\r\nhello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n--b--\r\n'
    )
    response = await tenant.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert response.json()["purpose"] == "vision", response.text


@on_both_databases
async def test_lists_go_page_by_page(tenant: httpx2.AsyncClient) -> None:
    ids = [(await upload_file(tenant, purpose="batch" if number == 1 else "assistants"))["id"] for number in range(4)]
    first = (await tenant.get("/v1/files", params={"limit": 3})).json()
    assert [file["id"] for file in first["data"]] == ids[:0:-1]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, ids[3], ids[1])
    rest = (await tenant.get("/v1/files", params={"after": first["last_id"]})).json()
    assert [file["id"] for file in rest["data"]] == [ids[0]]
    ascending = (await tenant.get("/v1/files", params={"order": "asc", "after": ids[1]})).json()
    assert [file["id"] for file in ascending["data"]] == ids[2:]
    assert [file["id"] for file in (await tenant.get("/v1/files?purpose=batch")).json()["data"]] == [ids[1]]
    assert (await tenant.get("/v1/files", params={"limit": 0})).status_code == 400


@pytest.mark.parametrize(
    ("data", "name", "fields", "param", "says"),
    [
        (b"", "a.txt", {"purpose": "assistants"}, "file", "empty"),
        (b"x", "a.txt", {}, "purpose", "no purpose"),
        (b"x", "a.txt", {"purpose": "fun"}, "purpose", "'fun'"),
        (b"x", "a.txt", {"purpose": "batch", "expires": "3600"}, "expires", "Unknown"),
        (b"x", "a.txt", {"purpose": "batch", "expires_after[seconds]": "3600"}, "expires_after", "'anchor'"),
        (
            b"x",
            "a.txt",
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"},
            "expires_after",
            "3600 to 2592000",
        ),
        (b"x", "a" * 300, {"purpose": "batch"}, "file", "longer than 255"),
        (b"x", "a.txt", {"purpose": "fine-tune"}, "file", ".jsonl"),
        (b"\n\n", "a.jsonl", {"purpose": "fine-tune"}, "file", "no rows"),
        (b"\x89PNG\r\n\x1a\n\x00", "a.jsonl", {"purpose": "fine-tune"}, "file", "Row 1:"),
    ],
)
async def test_bad_uploads_say_what_is_wrong(
    gateway: Gateway, tenant: httpx2.AsyncClient, data: bytes, name: str, fields: dict[str, str], param: str, says: str
) -> None:
    error = fault(await tenant.post("/v1/files", data=fields, files={"file": (name, data)}), 400)
    assert error["param"] == param
    assert says in error["message"]
    assert (await tenant.get("/v1/files")).json()["data"] == []
    assert list((gateway.state.artifacts.root / "incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["", 'filename="=?utf-8?B?4oKsLnR4dA==?="; '])
async def test_a_name_in_the_extended_form_is_read(tenant: httpx2.AsyncClient, name: str) -> None:
    fields = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    file = f"content-disposition: form-data; name=\"file\"; {name}filename*=utf-8''%E2%82%AC.txt\r\n\r\nx\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await tenant.post("/v1/files", content=fields + file.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"] == "€.txt"


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("application/json", b"{}", "multipart/form-data"),
        ("multipart/form-data", b"--b--", "boundary"),
        ("multipart/form-data; boundary=b", b"no form at all", "readable multipart"),
        ("multipart/form-data; boundary=b", b"", "cut short"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nhel',
            "cut short",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n',
            "no part 'file'",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
            "no file name",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n' + b"x" * 70_000 + b"\r\n--b--\r\n",
            "longer than",
        ),
    ],
)
async def test_bodies_that_are_no_upload(
    gateway: Gateway, tenant: httpx2.AsyncClient, kind: str, body: bytes, says: str
) -> None:
    response = await tenant.post("/v1/files", content=body, headers={"content-type": kind})
    assert says in fault(response, 400)["message"]
    assert list((gateway.state.artifacts.root / "incoming").iterdir()) == []


async def test_bad_training_rows_come_back_with_their_numbers(
    tenant: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.files.training_rows._BLOCK_BYTES", 200)  # so that the rows span several blocks
    lines = [json.dumps(ROW)] * 30
    lines[6] = "{"
    lines[28] = json.dumps({"messages": ROW["messages"][:1]})
    error = fault(await upload(tenant, "\n".join(lines).encode(), "rows.jsonl", "fine-tune"), 400)
    assert error["code"] == "invalid_training_file"
    assert "Row 7: " in error["message"]
    assert "Row 29: " in error["message"]
    good = await upload(tenant, "\n".join([json.dumps(ROW)] * 30).encode(), "rows.jsonl", "fine-tune")
    assert good.status_code == 200, good.text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
async def test_a_training_file_as_powershell_writes_it_is_told_what_to_do(
    encoding: str, tenant: httpx2.AsyncClient
) -> None:
    text = "\n".join([json.dumps(ROW)] * 30)
    data = (text if encoding == "utf-16" else f"\ufeff{text}").encode(encoding)
    error = fault(await upload(tenant, data, "rows.jsonl", "fine-tune"), 400)
    assert error["code"] == "invalid_training_file"
    assert "UTF-16" in error["message"]


async def test_a_file_over_the_limit_is_refused_before_it_is_read(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    head = (
        "POST /v1/files HTTP/1.1",
        "host: gateway",
        f"authorization: {tenant.headers['authorization']}",
        "content-type: multipart/form-data; boundary=b",
        f"content-length: {gateway.state.settings.max_file_bytes * 2}",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    writer.write("\r\n".join((*head, "", "")).encode())
    async with asyncio.timeout(10):
        assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_file_over_the_limit_without_a_length_is_cut_off(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    gateway.state.storage.file_limit = 100_000
    assert "larger than" in fault(await upload(tenant, b"x" * 100_001), 413)["message"]
    assert (await upload(tenant, b"x" * 100_000)).status_code == 200
    assert list((gateway.state.artifacts.root / "incoming").iterdir()) == []


async def test_the_key_is_asked_for_before_the_body(gateway: Gateway) -> None:
    files = {"file": ("a.txt", io.BytesIO(b"x" * 1_000_000))}
    async with httpx2.AsyncClient(base_url=gateway.url) as nobody:
        assert (await nobody.post("/v1/files", data={"purpose": "batch"}, files=files)).status_code == 401
    chatter = await gateway.tenant("kestrel", scopes=("chat",))
    assert (await upload(chatter, b"x")).status_code == 403


async def test_files_of_another_tenant_do_not_exist(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    file = await upload_file(tenant)
    other = await gateway.tenant("harbor")
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        fault(await other.request(method, f"/v1/files/{file['id']}{path}"), 404)
    assert (await other.get("/v1/files")).json()["data"] == []
    own = await upload_file(other)
    for cursor in (file["id"], file["id"][:-12] + "0" * 12):  # one that exists, and one that nobody ever had
        page = await other.get("/v1/files", params={"after": cursor, "order": "asc"})
        assert [item["id"] for item in page.json()["data"]] == [own["id"]]
        assert (await other.get("/v1/files", params={"after": cursor})).json()["data"] == []
    assert (await tenant.get(f"/v1/files/{file['id']}")).status_code == 200


async def test_a_deleted_file_is_gone(tenant: httpx2.AsyncClient) -> None:
    file = await upload_file(tenant)
    answer = (await tenant.delete(f"/v1/files/{file['id']}")).json()
    assert answer == {"id": file["id"], "object": "file", "deleted": True}
    fault(await tenant.get(f"/v1/files/{file['id']}"), 404)
    fault(await tenant.delete(f"/v1/files/{file['id']}"), 404)
