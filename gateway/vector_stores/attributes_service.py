"""Other attributes of a store's file: a version with the same bytes, by which no chunk is embedded again."""

from contextlib import AbstractContextManager

from gateway.db import Database
from gateway.jobs import wait_for
from gateway.vector_stores.file_service import get_document, to_file_schema
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.schemas import VectorStoreFile, VectorStoreFileUpdate
from gateway.vector_stores.versions import Content, lock_document, put_version

__all__ = ["AttributesService"]

_PATIENCE_SECONDS = 20.0


class AttributesService:
    """Changes the attributes of one tenant's vector store files."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def update(
        self, store_id: str, file_id: str, request: VectorStoreFileUpdate, presence: AbstractContextManager[object]
    ) -> VectorStoreFile:
        """Give a file these attributes instead of those that it has.

        They are searched by from the next index epoch on, all at once. This waits for that as long as a client may;
        after that the file that it returns is `in_progress`, and the old attributes hold until it is `completed`.
        """
        async with self._database.read() as session:
            key = (await get_document(session, self._tenant, store_id, file_id)).key
        async with self._database.begin() as session:
            await lock_document(session, store_id, key)  # before the bytes are read that the version will have
            document = await get_document(session, self._tenant, store_id, file_id)
            store = await StoreRepository(session, self._tenant).get(store_id, param="vector_store_id")
            newest = (await VersionRepository(session, self._tenant).find_newest([document]))[document.id]
            content = Content(newest.filename, newest.digest, newest.bytes, newest.file_id)
            attributes = request.attributes or {}
            document, version = await put_version(session, store, document.key, content, attributes=attributes)
        if version.status == "in_progress" and version.job_id is not None:
            with presence:
                await wait_for(self._database, self._tenant, version.job_id, _PATIENCE_SECONDS)
            async with self._database.read() as session:
                version = await VersionRepository(session, self._tenant).get(version.id)
                document = await DocumentRepository(session, self._tenant).get(document.id)
        return to_file_schema(document, version)
