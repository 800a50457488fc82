"""Ask an assistant, and follow each citation to the words in the document that it stands for.

    BRAID_URL=… BRAID_KEY=… python examples/ask_with_citations.py [MODEL] [QUESTION]

The client is OpenAI's own. `annotations` say where in the text a mark such as [1] stands and what it cites; the extra
object `braid` says of which release, and of which state of the documents, the answer was made.
"""

import os
import sys

import httpx2
from openai import OpenAI

URL = os.environ.get("BRAID_URL", "http://127.0.0.1:8080")
KEY = os.environ["BRAID_KEY"]
MODEL = sys.argv[1] if len(sys.argv) > 1 else "support"
QUESTION = sys.argv[2] if len(sys.argv) > 2 else "How long is the warranty of the Acme K2?"

client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
answer = client.chat.completions.create(
    model=MODEL, messages=[{"role": "user", "content": QUESTION}], max_tokens=60, temperature=0
)
message = answer.choices[0].message
print(f"{QUESTION}\n  {message.content}\n")

with httpx2.Client(base_url=URL, headers={"authorization": f"Bearer {KEY}"}) as api:
    for annotation in message.annotations or []:
        citation = annotation.url_citation
        mark = (message.content or "")[citation.start_index : citation.end_index]
        passage = api.get(citation.url).json()  # a link of the gateway's, under the same key
        print(f"{mark} {passage['document_key']}, version {passage['version']}, score {passage['score']:.2f}:")
        print(f"    {passage['text']}")
    if not message.annotations:
        print("It cites nothing.")
    record = api.get(f"/api/answers/{answer.id}").json()

print(f"\nrelease {record['release']} ({answer.system_fingerprint}), answered by {record['replica']}")
print(f"prompt tokens by part: {record['prompt_tokens']}")
print(f"milliseconds: {record['timings']}")
