"""Commands to paste once the demo is over and its services stay."""

from pathlib import Path

from gateway.client import Client, Profile
from gateway.demo.tenant_clients import open_tenant_clients
from gateway.demo.tenants import DemoTenant
from gateway.progress import Progress

__all__ = ["describe_next_steps", "tell_next_steps"]


async def tell_next_steps(profile: Profile, pid_file: Path, tenant: DemoTenant, progress: Progress) -> None:
    """Make a key of the tenant's, and tell how to ask its assistant with it."""
    async with (
        Client(profile.url, profile.key or "") as admin,
        open_tenant_clients(admin, [tenant]) as (account,),
    ):
        question = tenant.questions[0].question
        text = describe_next_steps(profile.url, account.client.key, account.assistant, question, pid_file)
    progress.tell_as_is("\n" + text)


def describe_next_steps(url: str, key: str, assistant: str, question: str, pid_file: Path) -> str:
    """Return URL, key, and two ways to ask that work as pasted."""
    return f"""\
Braid keeps running at {url}
Key of {assistant}'s tenant: {key}

export BRAID_URL={url} BRAID_KEY={key}

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
