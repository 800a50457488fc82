"""A multipart form, read as it arrives: the file's bytes go on at once, whatever their number."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import BadRequest, UnsupportedEncoding

__all__ = ["UploadForm"]

_FIELD_BYTES = 64 * 1024
_FIELDS = 16
_PREAMBLE_BYTES = 64 * 1024
_AS_IT_IS = (b"binary", b"7bit", b"8bit")
_EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*\"?(?:utf-8|iso-8859-1)'[^']*'(?P<name>[^;\s\"]+)", re.IGNORECASE)


class UploadForm:
    """The form of an upload: one part with a file's bytes, and fields; they are known when `read_file_bytes` has ended.

    FastAPI's own form would be on disk as a whole before anybody has looked at the key.

    Args:
        content_type: The request's, with the boundary.
        part: The name of the part with the bytes.
        shape: The parts that there should be, for errors.
    """

    def __init__(self, content_type: str, *, part: str = "file", shape: str = "'purpose' and 'file'") -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise BadRequest(
                "An upload is multipart/form-data with a boundary, and this request isn't. "
                f"Send {shape}, as curl's -F does."
            )
        self._part = part
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._names: list[str] = []
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._value: bytearray | None = None
        self._pending: list[bytes] = []
        self._complete = False
        self._first_line = b"\n--" + boundary
        self._preamble = bytearray(b"\n")  # as if a line had ended before the body
        self._begun = False
        # It bounds the headers of a part itself, in bytes and in number.
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    async def read_file_bytes(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Read the whole body; yield the bytes of the file's part.

        Raises:
            BadRequest: The body isn't such a form, was cut short, or has no file.
        """
        async for data in body:
            try:
                self._parser.write(data if self._begun else self._skip_preamble(data))
            except FormParserError as error:
                raise BadRequest(f"The body isn't a readable multipart form: {error}. Send it again.") from error
            for part in self._pending:
                yield part
            self._pending.clear()
        if not self._begun and self._preamble.strip():
            raise BadRequest(
                "The body isn't a readable multipart form: no line of it is the boundary of its content-type. "
                "Send it again."
            )
        if not self._complete:
            raise BadRequest("The multipart form ends in the middle: the upload was cut short. Send it again.")
        if self.filename is None:
            raise BadRequest(f"The form has no part {self._part!r} with a file name. Send one.", param=self._part)

    def _skip_preamble(self, data: bytes) -> bytes:
        """Return what is of the form in the next bytes: RFC 2046 lets text stand before the first boundary's line.

        Raises:
            BadRequest: There is more text than any client writes there.
        """
        before = len(self._preamble)
        self._preamble += data
        # The line may have begun in the bytes before.
        at = self._preamble.find(self._first_line, max(0, before - len(self._first_line)))
        if at < 0 and len(self._preamble) <= _PREAMBLE_BYTES + len(self._first_line):
            return b""
        if at < 0 or at > _PREAMBLE_BYTES:
            raise BadRequest(
                "The body isn't a readable multipart form: its first "
                f"{_PREAMBLE_BYTES} bytes have no line with the boundary of its content-type. Send it again."
            )
        form = bytes(self._preamble[at + 1 :])
        self._preamble.clear()
        self._begun = True
        return form

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._value = None

    def _on_header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        elif bytes(name).lower() == b"content-transfer-encoding" and bytes(value).strip().lower() not in _AS_IT_IS:
            raise UnsupportedEncoding(
                "A part of the form has a content-transfer-encoding, which HTTP's forms don't have, and would be kept "
                "as it stands. Send its bytes."
            )
        name.clear()
        value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = _text(options.get(b"name", b""))
        if name in self._names or len(self._names) == _FIELDS:
            raise BadRequest(f"The form has {name!r} twice, or more than {_FIELDS} parts. Send each once.", param=name)
        self._names.append(name)
        if name != self._part:
            self._value = bytearray()
        else:
            filename = _read_extended_name(self._disposition) or options.get(b"filename")
            if filename is None:
                raise BadRequest(f"The part {name!r} has no file name. Send it with one.", param=name)
            # Browsers and most libraries write a quotation mark as `%22`; other percents are the name's own.
            self.filename = _text(filename).replace("%22", '"').replace("\\", "/").rsplit("/", 1)[-1]

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._value is None:
            self._pending.append(data[start:end])
            return
        self._value.extend(data[start:end])
        if len(self._value) > _FIELD_BYTES:
            name = self._names[-1]
            raise BadRequest(f"The field {name!r} is longer than {_FIELD_BYTES} bytes. Shorten it.", param=name)

    def _on_part_end(self) -> None:
        if self._value is not None:
            self.fields[self._names[-1]] = _text(bytes(self._value))

    def _on_end(self) -> None:
        self._complete = True


def _read_extended_name(disposition: bytes) -> bytes | None:
    """Return the name in `filename*`, which .NET and older Python clients send for other scripts than Latin.

    RFC 7578 forbids it, and the form's parser leaves it out; the plain `filename` beside it, if any, is garbled.
    """
    match = _EXTENDED_NAME.search(disposition)
    return None if match is None else unquote_to_bytes(match["name"])


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
