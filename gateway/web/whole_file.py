"""Files as answers, sent whole."""

import os

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

__all__ = ["WholeFile"]


class WholeFile(FileResponse):
    """A file of which no part can be asked for: a header `range` is ignored, as HTTP lets a server do.

    The framework would answer it with 206 and, where it can't be used, with a 400 or a 416 of plain text, which no
    client of an API that has one envelope for all errors reads.
    """

    def __init__(self, path: str | os.PathLike[str], media_type: str, filename: str | None = None) -> None:
        headers = {"accept-ranges": "none", "x-content-type-options": "nosniff"}
        super().__init__(path, media_type=media_type, filename=filename, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)
