"""A gateway whose answers are written down, for what asks it: also those that are hard to bring about."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.client import Client, GatewayError

__all__ = ["ADDRESS", "WrittenAnswers"]

ADDRESS = ("--url", "http://gateway.example", "--key", "sk-any")
"""For commands: of a gateway that isn't there."""


class WrittenAnswers:
    """Answers by `METHOD path`, and keeps what was sent.

    Args:
        answers: A list is a page of rows, an error is raised, and of a tuple one comes after the other.
        others: The answer to what else is sent; what else is asked for isn't there.
    """

    def __init__(self, answers: Mapping[str, Any], others: Any = None) -> None:
        self._answers = dict(answers)
        self._others = others
        self.sent: list[tuple[str, Any]] = []

    @classmethod
    def replace_http(cls, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Any]) -> "WrittenAnswers":
        """Have all clients ask these, such as those that commands make."""
        written = cls(answers)

        async def call(_client: Client, method: str, path: str, **options: Any) -> Any:
            return written.answer(method, path, options)

        monkeypatch.setattr(Client, "call", call)
        return written

    def answer(self, method: str, path: str, options: Mapping[str, Any]) -> Any:
        request, default = f"{method} {path}", self._others
        if method == "GET":
            default = GatewayError(404, f"There is no {path}.")
        else:
            self.sent.append((request, options.get("json") or options.get("params")))
        answer = self._answers.get(request, default)
        if isinstance(answer, tuple):
            answer, *rest = answer
            self._answers[request] = tuple(rest)
        if isinstance(answer, GatewayError):
            raise answer
        return {"data": answer} if isinstance(answer, list) else answer
