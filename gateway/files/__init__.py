"""OpenAI's files: uploaded bytes with a name and a purpose."""

from gateway.files.tables import FileRow, UploadPartRow, UploadRow

__all__ = ["FileRow", "UploadPartRow", "UploadRow"]
