"""Upload documents, ask, edit one fact, and ask again: the new answer comes seconds later, and nothing was retrained.

    BRAID_URL=… BRAID_KEY=… python examples/documents.py [ASSISTANT]

A document has a key of yours. Other bytes under the same key are its next version: it goes live in one moment, and only
the chunks that changed are embedded anew.
"""

import os
import sys
import time
from typing import Any

import httpx2

ASSISTANT = sys.argv[1] if len(sys.argv) > 1 else "support"
PRICES = "# Prices\n\nThe {kettle} costs {price} euros.\n"
api = httpx2.Client(
    base_url=os.environ.get("BRAID_URL", "http://127.0.0.1:8080"),
    headers={"authorization": f"Bearer {os.environ['BRAID_KEY']}"},
    timeout=120,
)


def save(store: str, key: str, text: str) -> dict[str, Any]:
    """Put a document and wait until readers see it."""
    answer = api.put(f"/api/vector_stores/{store}/documents/{key}", params={"wait": 60}, content=text)
    document = answer.raise_for_status().json()
    print(f"  {key}: version {document['version']} {document['status']}, {document['chunks']} chunk(s)")
    return document


def ask(question: str) -> str:
    """Ask the assistant, which reads whatever is live now."""
    body = {"model": ASSISTANT, "messages": [{"role": "user", "content": question}], "max_tokens": 60, "temperature": 0}
    answer = api.post("/v1/chat/completions", json=body).raise_for_status().json()
    return answer["choices"][0]["message"]["content"]


newest = api.get(f"/api/assistants/{ASSISTANT}/releases?order=desc").raise_for_status().json()["data"][0]
store = newest["spec"]["retrieval"]["vector_stores"][0]
for kettle, price in (("Finch", 49), ("Raven", 79)):
    save(store, f"prices/{kettle.lower()}.md", PRICES.format(kettle=kettle, price=price))
print("How much is the Finch?\n  " + ask("How much is the Finch?"))

began = time.perf_counter()
save(store, "prices/finch.md", PRICES.format(kettle="Finch", price=57))
print("How much is the Finch?\n  " + ask("How much is the Finch?"))
print(f"  {time.perf_counter() - began:.1f} s from the edit to the new answer")
