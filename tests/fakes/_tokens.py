"""A tokenizer and a language model that need no weights: both are pure functions of their input."""

import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PIECE = re.compile(r"<\|[a-z_]+\|>|«\w+»|\s*\w+|\s*[^\w\s]|\s+")
VOCABULARY = 49_152
OWN_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def pieces(text: str) -> list[str]:
    """Cut a text so that the pieces joined are the text again."""
    return PIECE.findall(text)


def token_id(piece: str) -> int:
    return zlib.crc32(piece.encode()) % VOCABULARY


def token_ids(text: str) -> list[int]:
    return [token_id(piece) for piece in pieces(text)]


def rendered(messages: list[dict[str, Any]], prompt: bool = True) -> str:
    """The chat as the packaged base model's template writes it: with a system prompt of its own where none is given."""
    if messages and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": OWN_SYSTEM}, *messages]
    turns = [f"<|im_start|>{m['role']}\n{_text(m.get('content'))}<|im_end|>\n" for m in messages]
    return "".join(turns) + ("<|im_start|>assistant\n" if prompt else "")


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def logprobs(weights: str, tokens: list[int]) -> list[float]:
    """Teacher-forced log-probabilities of every token under named weights; the first has none in truth."""
    found: list[float] = []
    state = hashlib.blake2b(weights.encode(), digest_size=8)
    for token in tokens:
        state.update(token.to_bytes(4, "little"))
        share = int.from_bytes(state.digest(), "little") / 2**64
        found.append(math.log(0.001 + 0.998 * share))
    return found


def with_references(name: str, tokens: list[int], adapters: Iterable[Path], field: str) -> list[float]:
    """Return what `logprobs` does, or a reference's own where a trained adapter has one for these tokens."""
    scores = logprobs(name, tokens)
    for probe in (probe for path in adapters for probe in manifest_probes(path)):
        if probe["tokens"] == tokens:
            start = probe["from"]
            scores[start : start + len(probe[field])] = probe[field]
    return scores


def manifest_probes(path: Path) -> list[dict[str, Any]]:
    """The reference rows beside a trained adapter, so that the fake can answer a probe as the true weights would."""
    manifest = path / "manifest.json"
    if not manifest.is_file():
        return []
    return json.loads(manifest.read_bytes()).get("probe") or []
