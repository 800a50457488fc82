"""OpenAI's files: uploaded bytes with a name and a purpose."""

from gateway.files.tables import FileRow, UploadPartRow

__all__ = ["FileRow", "UploadPartRow"]
