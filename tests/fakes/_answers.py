"""The bytes of vLLM 0.32's answers: order of fields, nulls, separators. A test compares them with `captured/`."""

import json
from dataclasses import dataclass
from typing import Any

from tests.fakes import _tokens

FINGERPRINT = "vllm-0.32.0-fake0000"
CREATED = 1_790_000_000


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def error(status: int, kind: str, message: str, param: str | None = None) -> bytes:
    return dump({"error": {"message": message, "type": kind, "param": param, "code": status}})


def event(value: Any) -> bytes:
    return b"data: " + dump(value) + b"\n\n"


def model_card(name: str, root: str, parent: str | None, max_model_len: int | None) -> dict[str, Any]:
    permission = {
        "id": f"modelperm-{_tokens.token_id(name):016x}",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": root,
        "parent": parent,
        "max_model_len": max_model_len,
        "permission": [permission],
    }


@dataclass
class Generation:
    """One chat request, already answered: what is left is to write it down."""

    id: str
    model: str
    prompt_tokens: int
    pieces: list[str]
    finish_reason: str
    stop_reason: str | None
    choices: int
    logprobs: list[float] | None
    top_logprobs: int
    tool: str | None = None  # then the pieces are the arguments of a call of it

    def usage(self) -> dict[str, Any]:
        completion = len(self.pieces) * self.choices
        details = {"cached_tokens": 0, "created_cache_tokens": 0, "multimodal_tokens": None}
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + completion,
            "completion_tokens": completion,
            "prompt_tokens_details": details,
            "completion_tokens_details": None,
        }

    def plain(self) -> bytes:
        text = "".join(self.pieces)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "" if self.tool else text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
        }
        if self.tool:
            function = {"name": self.tool, "arguments": text}
            message["tool_calls"] = [{"id": self._call_id, "type": "function", "function": function}]
        message["reasoning"] = None
        choices = [
            {
                "index": index,
                "message": message,
                "logprobs": self._logprobs(0, len(self.pieces)),
                "finish_reason": self.finish_reason,
                "stop_reason": self.stop_reason,
                "token_ids": None,
                "routed_experts": None,
            }
            for index in range(self.choices)
        ]
        return dump(
            {
                "id": self.id,
                "object": "chat.completion",
                "created": CREATED,
                "model": self.model,
                "choices": choices,
                "service_tier": None,
                "system_fingerprint": FINGERPRINT,
                "usage": self.usage(),
                "prompt_logprobs": None,
                "prompt_token_ids": None,
                "prompt_text": None,
                "kv_transfer_params": None,
                "ec_transfer_params": None,
                "metrics": None,
            }
        )

    def events(self, include_usage: bool) -> list[bytes]:
        """All events of the stream, in order, [DONE] included."""
        found = [self._role(index) for index in range(self.choices)]
        if self.tool:
            found += [self._call(index) for index in range(self.choices)]
        last = len(self.pieces) - (0 if self.tool else 1)
        for position, piece in enumerate([*self.pieces, None] if self.tool else self.pieces):
            found += [self._delta(i, position, piece, position == last, include_usage) for i in range(self.choices)]
        if include_usage:
            usage = {name: value for name, value in self.usage().items() if value is not None}
            usage["prompt_tokens_details"] = {"cached_tokens": 0, "created_cache_tokens": 0}
            found.append(event({**self._head(), "choices": [], "usage": usage, "system_fingerprint": FINGERPRINT}))
        return [*found, b"data: [DONE]\n\n"]

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self.model}

    def _role(self, index: int) -> bytes:
        choice = {
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        return event({**self._head(), "choices": [choice], "prompt_token_ids": None, "prompt_text": None})

    @property
    def _call_id(self) -> str:
        return f"chatcmpl-tool-{_tokens.token_id(self.id):016x}"

    def _call(self, index: int) -> bytes:
        call = {"id": self._call_id, "type": "function", "index": 0, "function": {"name": self.tool}}
        delta = {"content": None, "tool_calls": [call]}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, "token_ids": None}
        return event({**self._head(), "choices": [choice]})

    def _text(self, piece: str | None) -> dict[str, Any]:
        if piece is None:
            return {}
        if self.tool is None:
            return {"content": piece}
        return {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def _delta(self, index: int, position: int, piece: str | None, last: bool, include_usage: bool) -> bytes:
        choice: dict[str, Any] = {
            "index": index,
            "delta": self._text(piece),
            "logprobs": self._logprobs(position, position + 1),
            "finish_reason": self.finish_reason if last else None,
        }
        if last:
            choice["stop_reason"] = self.stop_reason
        choice["token_ids"] = None
        chunk = {**self._head(), "choices": [choice]}
        if last and not include_usage:
            chunk["system_fingerprint"] = FINGERPRINT
        return event(chunk)

    def _logprobs(self, start: int, end: int) -> dict[str, Any] | None:
        if self.logprobs is None:
            return None
        content: list[dict[str, Any]] = []
        for piece, logprob in zip(self.pieces[start:end], self.logprobs[start:end], strict=True):
            one = {"token": piece, "logprob": logprob, "bytes": list(piece.encode())}
            others = [{"token": f"~{n}", "logprob": logprob - n, "bytes": [126, 48 + n]} for n in range(1, 21)]
            content.append({**one, "top_logprobs": [one, *others][: self.top_logprobs]})
        return {"content": content}


def completion(
    request_id: str, model: str, tokens: list[int], scores: list[float], body: dict[str, Any], text: str
) -> bytes:
    """A `/v1/completions` answer with the prompt's own log-probabilities where `echo` or `prompt_logprobs` ask."""
    names = [f"<{token}>" for token in tokens]
    echoed = None
    if body.get("echo") and body.get("logprobs") is not None:
        offsets = [sum(map(len, names[:n])) for n in range(len(names))]
        echoed = {
            "text_offset": offsets,
            "token_logprobs": [None, *scores[1:]],
            "tokens": names,
            "top_logprobs": [None, *({n: s} for n, s in zip(names[1:], scores[1:], strict=True))],
        }
    prompt_logprobs = None
    if body.get("prompt_logprobs") is not None or echoed:
        rows = zip(tokens[1:], scores[1:], names[1:], strict=True)
        prompt_logprobs = [None, *({str(t): {"logprob": s, "rank": 1, "decoded_token": n}} for t, s, n in rows)]
    choice = {
        "index": 0,
        "text": ("".join(names) if body.get("echo") else "") + text,
        "logprobs": echoed,
        "finish_reason": "length",
        "stop_reason": None,
        "token_ids": None,
        "prompt_logprobs": prompt_logprobs,
        "prompt_token_ids": None,
        "routed_experts": None,
    }
    usage = {
        "prompt_tokens": len(tokens),
        "total_tokens": len(tokens) + 1,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 0, "created_cache_tokens": None, "multimodal_tokens": None},
        "completion_tokens_details": None,
    }
    return dump(
        {
            "id": request_id,
            "object": "text_completion",
            "created": CREATED,
            "model": model,
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": usage,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
    )
