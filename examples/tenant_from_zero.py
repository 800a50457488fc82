"""A tenant from zero: its key, a document, an assistant that answers from it, and the first question.

    BRAID_URL=http://127.0.0.1:8080 BRAID_KEY=<the administrator's key> python examples/tenant_from_zero.py [NAME]

Seven writes make everything that an application needs. The last line gives the tenant's own key, for the others.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import httpx2

URL = os.environ.get("BRAID_URL", "http://127.0.0.1:8080")
NAME = sys.argv[1] if len(sys.argv) > 1 else "acme"
DOCUMENT = "# Repairs\n\nThe warranty of the Acme K2 is 31 months. Acme repairs a kettle within 9 days.\n"


def post(api: httpx2.Client, path: str, body: Mapping[str, object], method: str = "POST") -> dict[str, Any]:
    """Write, and say what was wrong where it was refused."""
    answer = api.request(method, path, json=body)
    if answer.is_error:
        sys.exit(f"{path}: {answer.json()['error']['message']}")
    return answer.json()


def client(key: str) -> httpx2.Client:
    return httpx2.Client(base_url=URL, headers={"authorization": f"Bearer {key}"}, timeout=120)


with client(os.environ["BRAID_KEY"]) as admin:
    post(admin, "/api/tenants", {"name": NAME})
    key = post(admin, "/api/keys", {"tenant": NAME, "name": "example", "scopes": ["chat", "manage"]})["key"]

with client(key) as api:
    store = post(api, "/v1/vector_stores", {"name": "handbook"})["id"]
    document = api.put(f"/api/vector_stores/{store}/documents/repairs.md", params={"wait": 60}, content=DOCUMENT).json()
    print(f"repairs.md is {document['status']} in {document['chunks']} chunk(s)")
    post(api, "/api/assistants", {"name": "support"})
    parts = {"retrieval": {"vector_stores": [store]}, "sampling": {"temperature": 0}}
    release = post(api, "/api/assistants/support/releases", parts)
    print(f"support@{release['release']} has the fingerprint {release['fingerprint']}")
    rollout = {"stages": [{"release": release["release"], "weight": 100}], "revision": 0}
    post(api, "/api/assistants/support/rollout", rollout, "PUT")
    question = {"role": "user", "content": "How long is the warranty of the Acme K2?"}
    answer = api.post(
        "/v1/chat/completions", json={"model": "support", "messages": [question], "max_tokens": 60}
    ).json()
    print(f"{question['content']}\n  {answer['choices'][0]['message']['content']}")

print(f"\nexport BRAID_URL={URL} BRAID_KEY={key}")
