"""A route without FastAPI's cost per request, for endpoints where microseconds count; bodies that are read by hand."""

import json
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gateway.errors import PayloadTooLarge
from gateway.tenants.authenticator import Principal

__all__ = ["LeanRoute", "ModelMismatch", "read_body", "read_model"]

Model = TypeVar("Model", bound=BaseModel)


class ModelMismatch(RequestValidationError):
    """A body that was read by hand and hasn't the form of its model, which FastAPI doesn't know."""

    def __init__(self, problems: Sequence[Any], body: object, form: type[BaseModel]) -> None:
        super().__init__(problems, body=body)
        self.form = form


class LeanRoute(APIRoute):
    """Serves an endpoint that takes the request and the principal of its key, and returns a `Response`.

    The key is checked by the dependency in the endpoint's own signature, the only one it may have; it is awaited by
    hand, since FastAPI's solving of dependencies and its exit stacks cost more than all the rest of a short answer.
    The application may also call `handle` ahead of middleware and routing.

    Raises:
        TypeError: The endpoint has no dependency, or more than one.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if len(self.dependant.dependencies) != 1 or self.dependant.dependencies[0].call is None:
            raise TypeError(f"The endpoint of {path} has to depend on its key, such as ChatKey, and on nothing else.")
        self._authenticate: Callable[[Request], Awaitable[Principal]] = self.dependant.dependencies[0].call

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive, send)
        response = await self.endpoint(request, await self._authenticate(request))
        await response(scope, receive, send)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body of at most `limit` bytes.

    Raises:
        PayloadTooLarge: It is longer, or is going to be by what its head says: nothing of it is asked for then.
        ClientDisconnect: The client left before it was whole.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-length" and int(value) > limit:  # the server has refused one that is no number
            raise _refuse(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _refuse(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _refuse(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit} bytes. Send less text.")


async def read_model(request: Request, limit: int, model: type[Model]) -> Model:
    """Return the whole body as a model: FastAPI would decode one so large before it asked for the key.

    Raises:
        ModelMismatch: It hasn't the model's form.
        PayloadTooLarge: It is longer than `limit` bytes.
        ClientDisconnect: The client left before it was whole.
    """
    body = (await read_body(request, limit)).removeprefix(BOM_UTF8)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        is_json = problems[0]["type"] != "json_invalid"
        raise ModelMismatch(problems, json.loads(body) if is_json else None, model) from None
