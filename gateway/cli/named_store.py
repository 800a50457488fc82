"""A vector store as commands name it: by its id or its name, in one wording where there is none."""

from gateway.client import Client, find_store
from gateway.terminal import CommandError, Exit, say

__all__ = ["get_or_make_store", "get_store", "make_store"]


async def get_store(client: Client, store: str) -> str:
    """Return the id of a store.

    Raises:
        AmbiguousName: Several have this name.
        CommandError: There is none.
    """
    store_id = await find_store(client, store)
    if store_id is None:
        raise _make_error(store)
    return store_id


async def get_or_make_store(client: Client, store: str) -> str:
    """Return the id of a store, which is made and told of where a name has none.

    Raises:
        AmbiguousName: Several have this name.
        CommandError: It is an id, and there is no such store.
    """
    return await find_store(client, store) or await make_store(client, store)


async def make_store(client: Client, store: str) -> str:
    """Make a store of a name that none has, tell of it, and return its id.

    Raises:
        CommandError: It is an id, and there is no such store.
    """
    if store.startswith("vs_"):
        raise _make_error(store)
    store_id = (await client.post("/v1/vector_stores", {"name": store}))["id"]
    say(f"There was no store {store!r}: made {store_id}.")
    return store_id


def _make_error(store: str) -> CommandError:
    return CommandError(f"There is no vector store {store!r}. 'braid docs add NAME FILE…' makes one.", Exit.NOT_FOUND)
