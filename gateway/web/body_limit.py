"""The answer to a body that its own length says is too large, in OpenAI's error envelope."""

from starlette.types import Message, Send

from gateway.errors import PayloadTooLarge

__all__ = ["BodyLimitSender", "make_body_error"]

_PLAIN = b"text/plain"


def make_body_error() -> PayloadTooLarge:
    """Return the error of a body that is larger than its route takes."""
    return PayloadTooLarge("The body is larger than this path takes. Send less in one request.")


class BodyLimitSender:
    """Passes an answer on, unless it is the framework's own 413.

    Starlette's limit puts a line of plain text into the place of whatever the application answers, as soon as the
    content-length is above it; only bodies that come without one get to the application's error handlers.
    """

    __slots__ = ("_replaced", "_send")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] != "http.response.start" or message["status"] != 413 or not _is_plain(message):
            await self._send(message)
            return
        self._replaced = True
        body = make_body_error().encode_body()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({**message, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_plain(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_PLAIN) for name, value in message.get("headers", ()))
