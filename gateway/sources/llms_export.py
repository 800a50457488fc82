"""A store's public documents as `llms.txt`: the list that other sources, and other people's agents, read."""

import re
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.vector_stores.feed import NamedDocument, list_live
from gateway.vector_stores.service import VectorStoreService

__all__ = ["LlmsExport"]

_MARKUP = re.compile(r"([\\\[\]()<>`*_])")
_WEB = re.compile(r"https?://[^\s()<>]+")


class LlmsExport:
    """Writes the `llms.txt` of a tenant's stores. A document is public if its attribute `public` is true,
    in the version that answers: an edit changes the list when it is live.
    """

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    async def export(self, store_id: str, base_url: str) -> str:
        """Return the text.

        Args:
            store_id: The store.
            base_url: What keys, or the names of files, are put behind, for documents that have no `url` of their own.
        """
        store = await VectorStoreService(self._session, self._tenant).get(store_id)
        documents = await list_live(self._session, self._tenant, store_id)
        public = [one for one in documents if one.attributes.get("public") is True]
        lines = [_line(one, base_url) for one in sorted(public, key=lambda one: one.name)]
        head = f"# {_plain(store.name or store_id)}\n\n"
        if store.description:
            head += f"> {_plain(store.description)}\n\n"
        return head + "## Documents\n\n" + "".join(f"{line}\n" for line in lines)


def _line(document: NamedDocument, base_url: str) -> str:
    title = _plain(str(document.attributes.get("title") or document.name.rsplit("/", 1)[-1]))
    about = _plain(str(document.attributes.get("description") or ""))
    url = str(document.attributes.get("url") or "")
    if not _WEB.fullmatch(url):
        url = f"{base_url.rstrip('/')}/{quote(document.name)}" if base_url else quote(document.name)
    return f"- [{title}]({url}){f': {about}' if about else ''}"


def _plain(text: str) -> str:
    """Return a text as Markdown that says just that, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
