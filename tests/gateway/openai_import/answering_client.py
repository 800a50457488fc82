"""A client whose answers are written down, for imports of single kinds: what they ask, what they make, what fails."""

from collections.abc import Mapping
from typing import Any

from gateway.client import Client, GatewayError
from gateway.openai_import.destination import Destination

__all__ = ["AnsweringClient", "destination"]


class AnsweringClient(Client):
    """Answers by path; a list is a page of rows, an error is raised, and what was made is kept.

    Args:
        answers: What GET of a path returns; 404 elsewhere.
        made: What POST of a path returns; `{}` elsewhere.
    """

    def __init__(self, answers: Mapping[str, Any], made: Mapping[str, Any] | None = None) -> None:
        super().__init__("http://gateway.example", "sk")
        self._answers = answers
        self._made = made or {}
        self.sent: list[tuple[str, str, Any]] = []

    async def call(self, method: str, path: str, **options: Any) -> Any:
        if method == "GET":
            answer = self._answers.get(path, GatewayError(404, f"There is no {path}."))
        else:
            self.sent.append((method, path, options.get("json")))
            answer = self._made.get(path, {})
        if isinstance(answer, GatewayError):
            raise answer
        return {"data": answer} if isinstance(answer, list) else answer


def destination(client: Client, *, dry_run: bool = False) -> Destination:
    return Destination(client, "base", lambda _title, _done, _total: None, dry_run=dry_run, pause=0.001)
