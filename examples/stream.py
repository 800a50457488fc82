"""Stream an answer word by word, and read citations and usage from the events that end it.

    BRAID_URL=… BRAID_KEY=… python examples/stream.py [MODEL] [QUESTION]

The stream is OpenAI's: a mark such as [1] only shows once the gateway knows that it cites a passage of this request.
"""

import os
import sys
import time
from typing import Any

from openai import OpenAI

URL = os.environ.get("BRAID_URL", "http://127.0.0.1:8080")
MODEL = sys.argv[1] if len(sys.argv) > 1 else "support"
QUESTION = sys.argv[2] if len(sys.argv) > 2 else "How long is the warranty of the Acme K2?"

client = OpenAI(base_url=f"{URL}/v1", api_key=os.environ["BRAID_KEY"])
began, first, usage = time.perf_counter(), 0.0, None
sources: list[dict[str, str]] = []
stream = client.chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": QUESTION}],
    max_tokens=60,
    temperature=0,
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    usage = chunk.usage or usage
    braid: Any = chunk.to_dict().get("braid") or {}  # in the event that ends the answer
    sources += braid.get("citations", [])
    for choice in chunk.choices:
        if choice.delta.content:
            first = first or time.perf_counter() - began
            print(choice.delta.content, end="", flush=True)

seconds = time.perf_counter() - began
print(f"\n\nfirst token after {first * 1000:.0f} ms, whole answer after {seconds * 1000:.0f} ms")
if usage is not None:
    print(f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out")
for source in sources:
    print(f"cites {source['filename']}: {source['url']}")
