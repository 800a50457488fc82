"""A vLLM server without a model: the same routes, bytes and error texts over a real socket, and faults on demand.

async with FakeVllm() as fake:                 in the test's own event loop
python -m tests.fakes.vllm --port 9100         as a process, to be killed
"""

import argparse
import asyncio
import itertools
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fakes import _answers, _tokens
from tests.fakes._http import Connection, Received, Wire
from tests.fakes.faults import Fault
from tests.fakes.refusals import find_refusals
from tests.ports import find_port
from training.chat_template import ChatTemplate, TemplateRefused

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
LOAD = "/v1/load_lora_adapter"
UNLOAD = "/v1/unload_lora_adapter"
MODELS = "/v1/models"
HEALTH = "/health"
TOKENIZE = "/tokenize"
_TURNS_TO_CONNECT = 5


@dataclass(frozen=True)
class Chat:
    """What the engine was asked, for the callable that writes the reply."""

    model: str
    messages: list[dict[str, Any]]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        return _tokens.rendered(self.messages)

    @property
    def last(self) -> str:
        """Text of the last message."""
        return str(self.messages[-1].get("content") or "")


Reply = Callable[[Chat], str]
Rule = Callable[[Received], Fault | None]


def echo(chat: Chat) -> str:
    return f"The engine heard: {chat.last}"


class FakeVllm:
    """One engine replica. Public attributes are there to be changed and read by tests."""

    def __init__(
        self,
        model: str = "base",
        *,
        reply: Reply = echo,
        max_model_len: int = 4096,
        port: int = 0,
        gap: float = 0.0,
        served_from: str = "/models/base",
    ) -> None:
        self.model = model
        self.reply = reply
        self.max_model_len = max_model_len
        self.port = port or find_port()
        self.gap = gap
        self.served_from = served_from
        self.adapters: dict[str, Path] = {}
        self.healthy = True
        self.corrupted: int | None = None
        self.rule: Rule | None = None
        self.wrong_probes: dict[str, float] = {}
        self.inert: set[str] = set()
        self._template: ChatTemplate | None = None
        self._pieces: dict[int, str] = {}
        self.received: list[Received] = []
        self._queues: dict[str, deque[Fault | None]] = defaultdict(deque)
        self._ids = itertools.count()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before when it was stopped. Adapters are gone, as after a real restart."""
        self.adapters = {}
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handle, self._connections), "127.0.0.1", self.port
        )

    async def stop(self) -> None:
        """Refuse new connections and reset the open ones, as a killed process does."""
        if self._server is not None:
            loop = asyncio.get_running_loop()
            for listener in self._server.sockets:
                loop.remove_reader(listener.fileno())
            # asyncio makes a connection some turns after it has accepted it, and loses one whose server has closed.
            for _ in range(_TURNS_TO_CONNECT):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.gather(*(connection.closed.wait() for connection in list(self._connections)))

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def script(self, *faults: Fault | None, path: str = CHAT) -> None:
        """The next requests on a path meet these, in order; None is a request that goes well."""
        self._queues[path].extend(faults)

    def requests(self, path: str = CHAT) -> list[Received]:
        return [received for received in self.received if received.path == path]

    def render_by(self, template: str) -> None:
        """Render conversations for `/tokenize` by another chat template than the packaged base model's."""
        self._template = ChatTemplate(template)

    def logprobs(self, name: str | None, tokens: list[int]) -> list[float]:
        """Log-probabilities of each token under an adapter (None: the base). What a probe's reference should hold."""
        path = self.adapters.get(name) if name else None
        if name is None or name == self.model or path is None or name in self.inert:
            # As the base that the adapters here were trained on.
            return _tokens.with_references("base", tokens, self.adapters.values(), "base_logprobs")
        scores = _tokens.with_references(path.name, tokens, [path], "logprobs")
        shift = self.wrong_probes.get(name, 0.0)
        return [score - shift for score in scores]

    async def _handle(self, received: Received, wire: Wire) -> None:
        self.received.append(received)
        queue = self._queues[received.path]
        fault = queue.popleft() if queue else self.rule(received) if self.rule else None
        if fault and fault.kind == "refuse":
            return wire.cut()
        if fault and fault.kind == "hang":
            await asyncio.sleep(fault.seconds or 3600)
        if fault and fault.kind == "status":
            retry = {"retry_after": "1"} if fault.status == 429 else {}
            return wire.whole(fault.status, _answers.error(fault.status, "FakeError", fault.message), **retry)
        if fault and fault.kind == "body":
            return wire.whole(200, fault.data, fault.content_type)
        if fault and fault.kind == "head":
            wire.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n")
            await asyncio.sleep(3600)
        route = self._routes().get((received.method, received.path))
        if route is None:
            return wire.whole(404, b'{"detail":"Not Found"}')
        await route(received, wire, fault)

    def _routes(self) -> dict[tuple[str, str], Callable[[Received, Wire, Fault | None], Any]]:
        return {
            ("GET", HEALTH): self._health,
            ("GET", MODELS): self._models,
            ("GET", "/metrics"): self._metrics,
            ("POST", LOAD): self._load,
            ("POST", UNLOAD): self._unload,
            ("POST", TOKENIZE): self._tokenize,
            ("POST", "/detokenize"): self._detokenize,
            ("POST", COMPLETIONS): self._complete,
            ("POST", CHAT): self._chat,
        }

    async def _health(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        wire.whole(200 if self.healthy else 503, b"", "")

    async def _models(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        cards = [_answers.model_card(self.model, self.served_from, None, self.max_model_len)]
        cards += [_answers.model_card(name, str(path), self.model, None) for name, path in self.adapters.items()]
        wire.whole(200, _answers.dump({"object": "list", "data": cards}))

    async def _metrics(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        running = sum(r.finished is None and r.aborted is None for r in self.requests())
        text = f"vllm:num_requests_running {running}.0\n"
        if self.corrupted is not None:
            labels = '{engine="0",model_name="base"}'
            text += "# HELP vllm:corrupted_requests_total Corrupted requests, in terms of total number of requests.\n"
            text += f"vllm:corrupted_requests_total{labels} {self.corrupted}.0\n"
        wire.whole(200, text.encode(), "text/plain; version=0.0.4")

    async def _load(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        name, path = received.json.get("lora_name"), received.json.get("lora_path")
        if not name or not path:
            text = "Both 'lora_name' and 'lora_path' must be provided."
            return wire.whole(400, _answers.error(400, "InvalidUserInput", text))
        if name in self.adapters:
            text = (
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
            return wire.whole(400, _answers.error(400, "InvalidUserInput", text))
        if not Path(path).is_dir():
            text = f"Loading lora {name} failed: No adapter found for {path}"
            return wire.whole(404, _answers.error(404, "NotFoundError", text))
        self.adapters[name] = Path(path)
        wire.whole(200, f"Success: LoRA adapter '{name}' added successfully.".encode(), "")

    async def _unload(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        name = str(received.json.get("lora_name"))
        if self.adapters.pop(name, None) is None:
            text = f"The lora adapter '{name}' cannot be found."
            return wire.whole(404, _answers.error(404, "NotFoundError", text))
        wire.whole(200, f"Success: LoRA adapter '{name}' removed successfully.".encode(), "")

    async def _tokenize(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        body = received.json
        text = body.get("prompt")
        if "messages" in body:
            text = self._render(body["messages"], body.get("add_generation_prompt", True))
        if text is None:
            return wire.whole(400, _answers.error(400, "BadRequestError", "The template refuses it."))
        if not self._known(body.get("model"), wire):
            return
        tokens = _tokens.token_ids(text)
        self._pieces.update(zip(tokens, _tokens.pieces(text), strict=True))
        answer = {"count": len(tokens), "max_model_len": self.max_model_len, "tokens": tokens, "token_strs": None}
        wire.whole(200, _answers.dump(answer))

    def _render(self, messages: list[dict[str, Any]], prompt: bool) -> str | None:
        """Return the text of a conversation; None where the template refuses it."""
        if self._template is None:
            return _tokens.rendered(messages, prompt)
        try:
            return self._template.render(messages, prompt=prompt)
        except TemplateRefused:
            return None

    async def _detokenize(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        tokens = received.json["tokens"]
        if not self._pieces.keys() >= set(tokens):
            return wire.whole(400, _answers.error(400, "BadRequestError", "Token ids are out of the vocabulary."))
        wire.whole(200, _answers.dump({"prompt": "".join(self._pieces[token] for token in tokens)}))

    async def _complete(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        body = received.json
        if not self._known(body.get("model"), wire):
            return
        prompt = body["prompt"]
        tokens = _tokens.token_ids(prompt) if isinstance(prompt, str) else prompt
        scores = self.logprobs(body["model"], tokens)
        wire.whole(200, _answers.completion(f"cmpl-{next(self._ids):016x}", body["model"], tokens, scores, body, "."))

    def _known(self, model: str | None, wire: Wire) -> bool:
        if model is None or model == self.model or model in self.adapters:
            return True
        text = f"The model `{model}` does not exist. Valid aliases: {self.model}."
        wire.whole(404, _answers.error(404, "NotFoundError", text, "model"))
        return False

    async def _chat(self, received: Received, wire: Wire, fault: Fault | None) -> None:
        try:
            body = received.json
            chat = Chat(body["model"], body["messages"], body)
        except (ValueError, KeyError) as problem:
            return wire.whole(400, _answers.error(400, "Bad Request", f"1 validation error:\n  {problem!r}", "body"))
        if not self._known(chat.model, wire):
            return
        if broken := next(find_refusals(body), None):
            return wire.whole(400, _answers.error(400, "BadRequestError", *broken))
        generation = self._generate(chat)
        if refused := self._refusal(generation, body):
            return wire.whole(400, refused)
        if body.get("stream"):
            return await self._stream(generation.events(_include_usage(body)), wire, fault)
        if self.gap:
            await asyncio.sleep(self.gap * len(generation.pieces))
        await self._plain(generation.plain(), wire, fault)

    def _refusal(self, generation: _answers.Generation, body: dict[str, Any]) -> bytes | None:
        found, limit, wanted = generation.prompt_tokens, self.max_model_len, _limit(body)
        if found >= limit:
            text = (
                f"This model's maximum context length is {limit} tokens. However, your prompt contains {found} input "
                "tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
                f"input prompt. (parameter=input_tokens, value={found})"
            )
            return _answers.error(400, "BadRequestError", text, "input_tokens")
        if wanted and wanted > limit:
            text = (
                f"max_tokens={wanted} cannot be greater than max_model_len={limit}. Please request fewer output "
                f"tokens. (parameter=max_tokens, value={wanted})"
            )
            return _answers.error(400, "BadRequestError", text, "max_tokens")
        if generation.choices > 1 and body.get("temperature") == 0:
            text = f"n must be 1 when using greedy sampling, got {generation.choices}."
            return _answers.error(400, "BadRequestError", text)
        if body.get("cache_salt") == "":
            text = "Parameter 'cache_salt' must be a non-empty string if provided. (parameter=cache_salt)"
            return _answers.error(400, "BadRequestError", text, "cache_salt")
        return None

    def _generate(self, chat: Chat) -> _answers.Generation:
        text = self.reply(chat)
        tool, finish = _tool_call(chat.body)
        stopped = None
        stops = chat.body.get("stop") or []
        for stop in [stops] if isinstance(stops, str) else stops:
            if stop in text:
                text, stopped = text[: text.index(stop)], stop
        found = _tokens.pieces(text)
        limit = _limit(chat.body)
        if limit and len(found) > limit:
            found, finish, stopped = found[:limit], "length", None
        found = found or [""]
        scores = _tokens.logprobs(chat.model, [_tokens.token_id(piece) for piece in found])
        return _answers.Generation(
            id=f"chatcmpl-{next(self._ids):016x}",
            model=chat.model,
            prompt_tokens=len(_tokens.pieces(chat.prompt)) + _count_tools(chat.body),
            pieces=found,
            finish_reason=finish,
            stop_reason=stopped,
            choices=chat.body.get("n") or 1,
            logprobs=scores if chat.body.get("logprobs") else None,
            top_logprobs=chat.body.get("top_logprobs") or 0,
            tool=tool,
        )

    async def _plain(self, body: bytes, wire: Wire, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if kind in ("cut", "bad_chunk", "stall"):
            wire.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
            wire.raw(body[: len(body) // 2])
            await asyncio.sleep(3600 if kind == "stall" else 0.01)
            return wire.cut()
        if kind == "engine_error":
            return wire.whole(500, _answers.error(500, "InternalServerError", "Internal server error"))
        wire.whole(200, body)

    async def _stream(self, events: list[bytes], wire: Wire, fault: Fault | None) -> None:
        wire.start_chunks("text/event-stream; charset=utf-8")
        for position, event in enumerate(events):
            if fault and position == fault.after and await self._strike(fault, wire):
                return
            if fault and fault.kind == "drip":
                for byte in event:
                    wire.chunk(bytes([byte]))
                    await asyncio.sleep(fault.seconds)
            else:
                wire.chunk(event)
            await asyncio.sleep(self.gap)
        wire.end_chunks()

    async def _strike(self, fault: Fault, wire: Wire) -> bool:
        """Do the fault; whether it ended the stream."""
        match fault.kind:
            case "cut":
                await asyncio.sleep(0.01)
                wire.cut()
            case "bad_chunk":
                wire.raw(b"this is no chunk header\r\n")
                await asyncio.sleep(0.01)
                wire.cut()
            case "stall":
                await asyncio.sleep(3600)
            case "engine_error":
                wire.chunk(b"data: " + _answers.error(500, "InternalServerError", "Internal server error") + b"\n\n")
                wire.chunk(b"data: [DONE]\n\n")
                wire.end_chunks()
            case "huge_line":
                wire.chunk(b'data: {"filler":"' + b"x" * fault.size + b'"}\n\n')
                return False
            case _:
                return False
        return True


def _limit(body: dict[str, Any]) -> int | None:
    return body.get("max_completion_tokens") or body.get("max_tokens")


def _tool_call(body: dict[str, Any]) -> tuple[str | None, str]:
    """Return the tool that has to be called, if any, and how the answer ends: with a named tool as with text."""
    choice = body.get("tool_choice")
    if choice == "required":
        return body["tools"][0]["function"]["name"], "tool_calls"
    return (choice["function"]["name"] if isinstance(choice, dict) else None), "stop"


def _include_usage(body: dict[str, Any]) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _count_tools(body: dict[str, Any]) -> int:
    """Count the tokens that a template's words for tools take, beside the conversation."""
    tools = body.get("tools")
    return len(_tokens.pieces(json.dumps(tools, indent=4))) if tools else 0


async def _serve(fake: FakeVllm) -> None:
    async with fake:
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default="base")
    parser.add_argument("--gap", type=float, default=0.0, help="seconds between two tokens")
    parser.add_argument("--start-delay", type=float, default=0.0, help="seconds before it listens")
    args = parser.parse_args()
    time.sleep(args.start_delay)
    asyncio.run(_serve(FakeVllm(args.model, port=args.port, gap=args.gap)))


if __name__ == "__main__":
    main()
