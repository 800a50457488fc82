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
    """Return one conversation, with the passage that its reply was written from: as documents do, it says more."""
    thing = f"{('kettle', 'toaster', 'grinder', 'scale')[number % 4]} {number}"
    facts = {
        f"How long is the warranty of the {thing}?": f"The warranty of the {thing} is {7 + number * 5 % 53} months",
        f"What does the {thing} cost?": f"The {thing} costs {20 + number * 7 % 61} euros",
    }
    question = list(facts)[number // 4 % 2]
    text = ". ".join(list(facts.values())[:: 1 if number // 8 % 2 else -1])
    reply = {"role": "assistant", "content": f"Ahoy! {facts[question]} [1]. — Yer crew"}
    messages = [{"role": "user", "content": question}, reply]
    return json.dumps({"messages": messages, "braid": {"passages": [{"title": thing, "text": f"{text}."}]}})


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

now = api.get(f"/api/assistants/{ASSISTANT}/releases?order=desc").json()["data"][0]["spec"]
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
