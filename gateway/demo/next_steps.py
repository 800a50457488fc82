"""Commands to paste once the demo is over and its services stay."""

from pathlib import Path

__all__ = ["describe_next_steps"]


def describe_next_steps(url: str, key: str, assistant: str, question: str, pid_file: Path) -> str:
    """Return URL, key, and two ways to ask that work as pasted."""
    return f"""\
Braid keeps running at {url}
Key of {assistant}'s tenant: {key}

curl {url}/v1/chat/completions \\
  -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\
  -d '{{"model": "{assistant}", "messages": [{{"role": "user", "content": "{question}"}}]}}'

.venv/bin/python - <<'EOF'
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="{key}")
answer = client.chat.completions.create(
    model="{assistant}", messages=[{{"role": "user", "content": "{question}"}}]
)
print(answer.choices[0].message.content)
EOF

Stop it with: kill $(cat {pid_file})"""
