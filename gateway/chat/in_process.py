"""A chat request of this process's own, answered as a client's is: the same body, checks, path and record."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.answering.service import AnsweringService
from gateway.chat.completion import encode_completion
from gateway.chat.request import decode_request, to_question
from gateway.tenants.authenticator import Principal

__all__ = ["InProcessChat"]


class InProcessChat:
    """Answers chat requests without HTTP.

    Args:
        service: Makes the answers.
        grammars: The operator lets clients give engines grammars of any kind.
    """

    def __init__(self, service: AnsweringService, *, grammars: bool) -> None:
        self._service = service
        self._grammars = grammars

    async def complete(self, principal: Principal, body: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Answer a request that isn't streamed.

        Returns:
            OpenAI's `chat.completion`, and the body that the engine got, both as JSON.

        Raises:
            BraidError: As the route would answer.
        """
        chat = decode_request(msgspec.json.encode(body), grammars=self._grammars)
        question = to_question(chat)
        async with await self._service.begin(principal, question) as generation:
            completion = encode_completion(generation.trace, await generation.read(), functions=chat.calls_functions)
            return completion, generation.trace.prompt.body
