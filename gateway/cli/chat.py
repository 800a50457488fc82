"""`braid chat`: ask a running gateway; its answer goes to stdout as it is written, the sources to stderr."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from gateway.cli.options import AsJson, Home, Key, Url, find_connection
from gateway.client import Client, ClientError
from gateway.terminal import CommandError, Exit, print_json, print_text, say

__all__ = ["chat", "converse"]

_Message = Annotated[str | None, typer.Argument(help="What to ask; without it, standard input, or a conversation.")]
_Model = Annotated[str | None, typer.Option("--model", "-m", help="An assistant, release, adapter or base model.")]
_MaxTokens = Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")]


def chat(
    message: _Message = None,
    model: _Model = None,
    max_tokens: _MaxTokens = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask an assistant."""
    address = find_connection(url, key, home)
    if message is None and not sys.stdin.isatty():
        message = sys.stdin.read().strip()
    if message == "":
        raise CommandError("There is nothing to ask. Give a message: braid chat 'What does the K2 cost?'", Exit.USAGE)
    asyncio.run(_chat(*address, message, model, max_tokens, as_json))


async def _chat(
    url: str, key: str, message: str | None, model: str | None, max_tokens: int | None, as_json: bool
) -> None:
    async with Client(url, key) as client:
        body: dict[str, Any] = {"model": model or await _only_model(client), "messages": []}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        if message is not None:
            body["messages"] = [{"role": "user", "content": message}]
            await (_ask_whole if as_json else _ask)(client, body)
        else:
            await converse(client, body)


async def converse(client: Client, body: dict[str, Any]) -> None:
    """Ask what the person types, with all that was said before, until an empty line or the input's end."""
    say(f"Talking to {body['model']} at {client.url}. An empty line ends.")
    while True:
        try:
            question = (await asyncio.to_thread(input, "> ")).strip()
        except EOFError:
            return
        if not question:
            return
        body["messages"].append({"role": "user", "content": question})
        body["messages"].append({"role": "assistant", "content": await _ask(client, body)})


async def _ask_whole(client: Client, body: dict[str, Any]) -> None:
    print_json(await client.post("/v1/chat/completions", body))


async def _ask(client: Client, body: dict[str, Any]) -> str:
    """Print an answer piece by piece and then its sources; return its text."""
    text: list[str] = []
    sources: dict[str, str] = {}
    async with client.stream("/v1/chat/completions", body | {"stream": True}) as events:
        async for event in events:
            for choice in event.get("choices", []):
                delta: dict[str, Any] = choice.get("delta") or {}
                if delta.get("content"):
                    text.append(delta["content"])
                    print_text(delta["content"], end="")
                annotations: list[dict[str, Any]] = delta.get("annotations") or []
                sources |= {note["url_citation"]["url"]: note["url_citation"]["title"] for note in annotations}
    print_text("")
    for number, (address, title) in enumerate(sources.items(), 1):
        say(f"  source {number}: {title}  {client.url}{address}")
    return "".join(text)


async def _only_model(client: Client) -> str:
    """Return the only assistant, or the only model; where there are several, the person has to say which."""
    base, *others = (await client.get("/v1/models"))["data"]
    # Of what is Braid's own, the base model comes first, and the other one embeds.
    models = [base["id"], *(model["id"] for model in others if model["owned_by"] != base["owned_by"])]
    try:
        assistants = [row["name"] for row in (await client.get("/api/assistants"))["data"] if row.get("stages")]
    except ClientError:
        assistants = []  # a key that may only chat can't list them
    for names in (assistants, models):
        if len(names) == 1:
            return names[0]
    raise CommandError(f"Say which model with --model: {', '.join(dict.fromkeys(assistants + models))}.", Exit.USAGE)
