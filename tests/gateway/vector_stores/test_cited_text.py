"""What a deleted document said can't be read through the answers that cited it, unless the tenant keeps it."""

from typing import Any

from tests.gateway.conftest import Gateway
from tests.gateway.vector_stores.conftest import Client, settings

__all__ = ["settings"]

TEMPLATE = """{% block evidence %}{% for p in passages %}[{{ p.number }}] {{ p.text }}
{% endfor %}{% endblock %}{% block question %}{{ question }}{% endblock %}"""
SECRET = "The vault opens with 80-22-51."


async def cite(client: Client, store: str) -> str:
    """Have an answer made with the store, and return its id."""
    http = client.http
    assert (await http.post("/api/prompts", json={"name": "house", "template": TEMPLATE})).status_code == 201
    assert (await http.post("/api/assistants", json={"name": "support"})).status_code == 201
    spec = {"prompt": "house@1", "retrieval": {"vector_stores": [store], "top_k": 3}}
    assert (await http.post("/api/assistants/support/releases", json=spec)).status_code == 201
    ask = {"model": "support@1", "messages": [{"role": "user", "content": "What opens the vault?"}]}
    answer = await http.post("/v1/chat/completions", json=ask)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def passage(client: Client, answer: str) -> dict[str, Any]:
    (one,) = (await client.ok("GET", f"/api/answers/{answer}"))["passages"]
    return one


async def test_the_text_goes_with_its_document(kestrel: Client, gateway: Gateway) -> None:
    store = await kestrel.store(name="vaults")
    await kestrel.put(store, "vault.md", SECRET)
    await kestrel.settle()
    answer = await cite(kestrel, store)
    before = await passage(kestrel, answer)
    assert (before["text"], before["deleted"]) == (SECRET, False)
    assert (await kestrel.ok("GET", f"/api/answers/{answer}/citations/1"))["text"] == SECRET

    await kestrel.put(store, "vault.md", "The vault opens with a key.")  # a new version isn't a deletion
    await kestrel.settle()
    assert (await passage(kestrel, answer))["text"] == SECRET

    assert (await kestrel.http.delete(f"/api/vector_stores/{store}/documents/vault.md")).status_code == 200
    for _ in range(2):  # at once, and when the worker has removed the rest of it
        after = await passage(kestrel, answer)
        assert (after["text"], after["heading"], after["deleted"]) == ("", "", True)
        assert after["document_key"] == "vault.md"
        gone = await kestrel.http.get(f"/api/answers/{answer}/citations/1")
        assert gone.status_code == 404
        assert "deleted" in gone.json()["error"]["message"]
        assert SECRET not in gone.text
        await kestrel.settle()

    kept = await gateway.admin.patch("/api/tenants/kestrel", json={"keeps_cited_text": True})
    assert kept.json()["keeps_cited_text"] is True
    assert (await passage(kestrel, answer))["text"] == SECRET


async def test_the_text_goes_with_its_store(kestrel: Client) -> None:
    store = await kestrel.store(name="vaults")
    await kestrel.put(store, "vault.md", SECRET)
    await kestrel.settle()
    answer = await cite(kestrel, store)
    await kestrel.ok("DELETE", f"/v1/vector_stores/{store}")
    assert (await passage(kestrel, answer))["text"] == ""


async def test_only_an_administrator_says_what_a_tenant_keeps(kestrel: Client, gateway: Gateway) -> None:
    change = {"keeps_cited_text": True}
    assert (await kestrel.http.patch("/api/tenants/kestrel", json=change)).status_code == 403
    assert (await gateway.admin.patch("/api/tenants/nobody", json=change)).status_code == 404
    made = await gateway.admin.post("/api/tenants", json={"name": "archive", **change})
    assert made.json()["keeps_cited_text"] is True
    unchanged = await gateway.admin.patch("/api/tenants/archive", json={})
    assert unchanged.json()["keeps_cited_text"] is True
