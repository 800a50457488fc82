"""Requests to a retriever, complete, of which a test changes the fields that it is about."""

from typing import Any

from retrieval.messages import IngestRequest, SearchQuery


def ingest_request(**changes: Any) -> IngestRequest:
    fields: dict[str, Any] = {
        "tenant": "kestrel",
        "store": "vs",
        "document": "k2",
        "key": "k2.md",
        "version": 1,
        "file_id": "file-k2",
        "filename": "k2.md",
        "path": "/k2.md",
        "index_epoch": 1,
    }
    return IngestRequest(**{**fields, **changes})


def search_query(**changes: Any) -> SearchQuery:
    fields: dict[str, Any] = {"tenant": "kestrel", "stores": {"vs": 1}, "text": "How long is the warranty?"}
    return SearchQuery(**{**fields, **changes})
