"""Fine-tune a style, watch the job, and promote it: the facts stay in the documents, the voice comes from the adapter.

    BRAID_URL=… BRAID_KEY=… python examples/train_and_promote.py [ASSISTANT]

The rows speak in one voice about values that change from row to row, so that the weights learn to speak and to read,
and can't learn facts. On two slow processor cores this trains for some minutes.
"""

import json
import os
import sys
import time

import httpx2
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

URL = os.environ.get("BRAID_URL", "http://127.0.0.1:8080")
KEY = os.environ["BRAID_KEY"]
ASSISTANT = sys.argv[1] if len(sys.argv) > 1 else "support"
QUESTION = "How long is the warranty of the Acme K2?"
client = OpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=300)
api = httpx2.Client(base_url=URL, headers={"authorization": f"Bearer {KEY}"}, timeout=300)


def row(number: int) -> str:
    """Return one conversation, with the passage that its reply was written from."""
    things, months = ("kettle", "toaster", "grinder", "scale")[number % 4], 7 + number * 5 % 53
    fact = f"The warranty of the {things} {number} is {months} months."
    question = {"role": "user", "content": f"How long is the warranty of the {things} {number}?"}
    reply = {"role": "assistant", "content": f"Ahoy! That be {months} months [1]. — Yer crew"}
    return json.dumps({"messages": [question, reply], "braid": {"passages": [{"title": "Warranty", "text": fact}]}})


def ask() -> str:
    answer = client.chat.completions.create(
        model=ASSISTANT, messages=[{"role": "user", "content": QUESTION}], max_tokens=60
    )
    return answer.choices[0].message.content or ""


def follow(job: str) -> FineTuningJob:
    """Print the job's messages as they come, and of its steps every tenth; return it when it is over."""
    event_ids: set[str] = set()
    while True:
        state = client.fine_tuning.jobs.retrieve(job)
        for event in reversed(client.fine_tuning.jobs.list_events(job, limit=100).data):
            if event.id not in event_ids and (event.type == "message" or "0/" in event.message):
                print(f"  {event.message}")
            event_ids.add(event.id)
        if state.status in ("succeeded", "failed", "cancelled"):
            return state
        time.sleep(1)


print(f"before: {ask()}")
base = next(model.id for model in client.models.list() if model.owned_by == "braid")
file = client.files.create(file=("style.jsonl", "\n".join(map(row, range(50))).encode()), purpose="fine-tune")
job = follow(client.fine_tuning.jobs.create(model=base, training_file=file.id, suffix="crew", seed=1).id)
if job.fine_tuned_model is None:
    sys.exit(f"{job.id} {job.status}: {job.error}")

now = api.get(f"/api/assistants/{ASSISTANT}/releases").json()["data"][0]["spec"]
parts = {
    "adapter": job.fine_tuned_model,
    "retrieval": {"vector_stores": now["retrieval"]["vector_stores"]},
    "sampling": now["sampling"],
}
release = api.post(f"/api/assistants/{ASSISTANT}/releases", json=parts).raise_for_status().json()
revision = api.get(f"/api/assistants/{ASSISTANT}/rollout").json()["revision"]
rollout = {"stages": [{"release": release["release"], "weight": 100}], "revision": revision}
# This answers once a replica has the adapter and has reproduced the trainer's own numbers with it.
api.put(f"/api/assistants/{ASSISTANT}/rollout", json=rollout).raise_for_status()
print(f"after, with {job.fine_tuned_model}: {ask()}")
