"""Swap an assistant's release while 8 clients ask without a pause: no request fails, each is answered by one release.

    BRAID_URL=… BRAID_KEY=… python examples/swap_under_load.py [ASSISTANT]

It swaps between the two newest releases, and leaves the newest; where there is only one, it makes another, whose
answers are shorter where a request sets no limit.
"""

import asyncio
import os
import sys
from collections import Counter
from typing import Any

import httpx2

ASSISTANT = sys.argv[1] if len(sys.argv) > 1 else "support"
CLIENTS, SWAPS = 8, 4
API = f"/api/assistants/{ASSISTANT}"
BODY = {"model": ASSISTANT, "messages": [{"role": "user", "content": "How long is the warranty?"}], "max_tokens": 12}


async def ask(api: httpx2.AsyncClient, answers: Counter[str], answered: asyncio.Condition, stop: asyncio.Event) -> None:
    """Ask again and again; the fingerprint says which release an answer is from."""
    while not stop.is_set():
        answer = await api.post("/v1/chat/completions", json=BODY)
        answers[answer.json()["system_fingerprint"] if answer.is_success else f"error {answer.status_code}"] += 1
        async with answered:
            answered.notify_all()


async def two_newest(api: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """Return the second newest and the newest, in this order."""
    newest_first = f"{API}/releases?order=desc"
    releases = (await api.get(newest_first)).raise_for_status().json()["data"]
    if len(releases) < 2:
        parts = {"retrieval": releases[0]["spec"]["retrieval"], "sampling": {"temperature": 0, "max_tokens": 8}}
        parts["retrieval"].pop("embedder")  # the gateway's to say
        (await api.post(f"{API}/releases", json=parts)).raise_for_status()
        releases = (await api.get(newest_first)).json()["data"]
    return releases[1::-1]


async def main() -> None:
    headers = {"authorization": f"Bearer {os.environ['BRAID_KEY']}"}
    url = os.environ.get("BRAID_URL", "http://127.0.0.1:8080")
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=120) as api:
        releases = await two_newest(api)
        answers: Counter[str] = Counter()
        answered, stop = asyncio.Condition(), asyncio.Event()
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(ask(api, answers, answered, stop))
            for swap in range(SWAPS):
                number = releases[swap % 2]["release"]
                revision = (await api.get(f"{API}/rollout")).json()["revision"]
                rollout = {"stages": [{"release": number, "weight": 100}], "revision": revision}
                (await api.put(f"{API}/rollout", json=rollout)).raise_for_status()
                before = sum(answers.values())
                print(f"revision {revision + 1}: all to {ASSISTANT}@{number}, {before} answers so far")
                await asyncio.sleep(0.5)
                async with answered:  # a slow engine takes seconds for each
                    await answered.wait_for(lambda due=before + CLIENTS: sum(answers.values()) >= due)
            stop.set()
    print("\n".join(f"{count:5} {outcome}" for outcome, count in answers.most_common()))
    sys.exit(any(outcome.startswith("error") for outcome in answers))


asyncio.run(main())
