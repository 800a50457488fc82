"""Record a real vLLM's answers, as the model that the fake is checked against.

The engine needs adapters and `--enable-auto-tool-choice --tool-call-parser hermes`.

python -m tests.fakes.capture http://127.0.0.1:9200 BASE_NAME ADAPTER_NAME ADAPTER_PATH tests/fakes/captured
"""

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "find_city", "description": "Look a city up.", "parameters": CITY}}
NAME_MEMBERS = {"type": "function", "function": {"name": "find_city"}}
QUESTION = {"messages": [{"role": "user", "content": "Name one colour."}], "max_tokens": 4, "temperature": 0}


def cases(base: str, adapter: str, path: str) -> dict[str, tuple[str, str, Any]]:
    """Name → method, path, body. A body of bytes goes out as it is."""
    chat, ask = "/v1/chat/completions", {**QUESTION, "model": base}
    stream = {**ask, "stream": True}
    usage = {"stream_options": {"include_usage": True}}
    two = {"n": 2, "temperature": 0.7, "seed": 1, "logprobs": True, "top_logprobs": 2}
    probe = {"model": adapter, "prompt": [504, 253, 260, 1111], "temperature": 0}
    tool = {"tools": [TOOL], "tool_choice": NAME_MEMBERS, "max_tokens": 96}
    city = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY}}
    load, unload = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
    return {
        "load": ("POST", load, {"lora_name": adapter, "lora_path": path}),
        "load_again": ("POST", load, {"lora_name": adapter, "lora_path": path}),
        "load_missing_folder": ("POST", load, {"lora_name": "none", "lora_path": "/nowhere/none"}),
        "load_without_path": ("POST", load, {"lora_name": "none", "lora_path": ""}),
        "models": ("GET", "/v1/models", None),
        "health": ("GET", "/health", None),
        "chat": ("POST", chat, ask),
        "chat_adapter": ("POST", chat, {**ask, "model": adapter}),
        "chat_n_logprobs": ("POST", chat, {**ask, **two}),
        "chat_stop": ("POST", chat, {**ask, "max_tokens": 24, "stop": ["e"]}),
        "stream": ("POST", chat, stream),
        "stream_usage": ("POST", chat, {**stream, **usage}),
        "stream_n_logprobs": ("POST", chat, {**stream, **usage, **two}),
        "stream_stop": ("POST", chat, {**stream, "max_tokens": 24, "stop": ["e"]}),
        "chat_tool": ("POST", chat, {**ask, **tool}),
        "chat_tool_required": ("POST", chat, {**ask, **tool, "tool_choice": "required"}),
        "chat_schema": ("POST", chat, {**ask, "response_format": city, "max_tokens": 32}),
        "stream_tool": ("POST", chat, {**stream, **tool}),
        "stream_tool_required": ("POST", chat, {**stream, **tool, "tool_choice": "required"}),
        "chat_n_greedy": ("POST", chat, {**ask, "n": 2}),
        "chat_unknown_model": ("POST", chat, {**ask, "model": "nobody"}),
        "chat_no_messages": ("POST", chat, {"model": base}),
        "chat_bad_json": ("POST", chat, b"{"),
        "chat_too_long": ("POST", chat, {**ask, "messages": [{"role": "user", "content": "word " * 9000}]}),
        "chat_too_long_stream": ("POST", chat, {**stream, "messages": [{"role": "user", "content": "word " * 9000}]}),
        "chat_max_tokens_too_large": ("POST", chat, {**ask, "max_tokens": 1_000_000, "stop": ["e"]}),
        "chat_empty_salt": ("POST", chat, {**ask, "cache_salt": ""}),
        "probe_echo": ("POST", "/v1/completions", {**probe, "max_tokens": 0, "echo": True, "logprobs": 0}),
        "probe_echo_1": ("POST", "/v1/completions", {**probe, "max_tokens": 1, "echo": True, "logprobs": 0}),
        "probe_prompt_logprobs": ("POST", "/v1/completions", {**probe, "max_tokens": 1, "prompt_logprobs": 0}),
        "tokenize": ("POST", "/tokenize", {"model": base, "prompt": "Name one colour.", "add_special_tokens": False}),
        "unload": ("POST", unload, {"lora_name": adapter}),
        "unload_again": ("POST", unload, {"lora_name": adapter}),
    }


def ask(url: str, method: str, path: str, body: Any) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer, whatever its status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers.get("content-type") or "", answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers.get("content-type") or "", refused.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("url", "base", "adapter", "path"):
        parser.add_argument(name)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, (method, path, body) in cases(args.base, args.adapter, args.path).items():
        status, content_type, answer = ask(args.url, method, path, body)
        text = answer.decode().replace(args.path, "/adapters/style")
        record = {"method": method, "path": path, "status": status, "content_type": content_type, "body": text}
        (args.out / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
