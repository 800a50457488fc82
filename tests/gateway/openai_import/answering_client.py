"""A client whose answers are written down, for imports of single kinds: what they ask, what they make, what fails."""

from collections.abc import Mapping
from typing import Any

from gateway.client import Client
from gateway.openai_import.destination import Destination
from tests.gateway.written_answers import WrittenAnswers

__all__ = ["AnsweringClient", "destination"]


class AnsweringClient(Client):
    """Answers as `WrittenAnswers` does.

    Args:
        answers: What GET of a path returns.
        made: What POST of a path returns; an empty object elsewhere.
    """

    def __init__(self, answers: Mapping[str, Any], made: Mapping[str, Any] | None = None) -> None:
        super().__init__("http://gateway.example", "sk")
        gets = {f"GET {path}": answer for path, answer in answers.items()}
        posts = {f"POST {path}": answer for path, answer in (made or {}).items()}
        self._written = WrittenAnswers(gets | posts, {})

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """What was sent, by `METHOD path`."""
        return self._written.sent

    async def call(self, method: str, path: str, **options: Any) -> Any:
        return self._written.answer(method, path, options)


def destination(client: Client, *, dry_run: bool = False) -> Destination:
    return Destination(client, "base", lambda *_: None, dry_run=dry_run, pause=0.001)
