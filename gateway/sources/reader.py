"""The contract between a sync and a kind of source: what is there, by key and version, and the bytes of each."""

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["ItemUnreadable", "Listing", "Reader", "SourceBusy", "SourceUnreadable"]


class SourceUnreadable(Exception):
    """The list of a source's items can't be had; the message is for its owner."""


class SourceBusy(SourceUnreadable):
    """The source wants to be left alone for now, until Unix seconds where it says so."""

    def __init__(self, until: float | None, reason: str = "The source is busy. It is asked again later.") -> None:
        super().__init__(reason)
        self.until = until


class ItemUnreadable(Exception):
    """An item can't be read now; the message is for its owner.

    `lasting`: it can't before it is another version. `until`: the source says that it can't before these Unix seconds.
    """

    def __init__(self, reason: str, *, lasting: bool = False, until: float | None = None) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.until = until


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of a source at one moment.

    Attributes:
        items: The version of each item by its key; another version means that its bytes may be others.
        unread: Items that are there and can't be read now, with the reason.
        lasting: Those of them that only a change of the source mends, so that they needn't be looked at soon.
        unread_until: The Unix seconds before which the source says that one of them can't be read.
        whole: Whether an item that is in neither is gone. False where a part of the source couldn't be looked at.
        absent_keys: Items that were looked for and aren't there any more, also where the listing isn't whole.
        urls: Addresses on the web that items have, which their documents get as the attribute `url`.
        revision: The source's own name of the moment, such as a commit.
        busy_until: Unix seconds before which the source doesn't want to be asked again.
        position: Where the listing stopped before all was looked at, so that the next one goes on there.
    """

    items: Mapping[str, str]
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    lasting: Collection[str] = ()
    unread_until: Mapping[str, float] = field(default_factory=dict[str, float])
    whole: bool = True
    absent_keys: Collection[str] = ()
    urls: Mapping[str, str] = field(default_factory=dict[str, str])
    revision: str | None = None
    busy_until: float | None = None
    position: str | None = None


class Reader(Protocol):
    """An open source."""

    async def scan(self, last_versions: Mapping[str, str]) -> Listing:
        """List what is there.

        Args:
            last_versions: The versions that were put last, by key: what hasn't changed since needn't be read again.

        Raises:
            SourceUnreadable: It can't be listed, in whole or in a part that matters.
        """
        ...

    def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an item of the last listing.

        Raises:
            ItemUnreadable: It can't be read, or has changed meanwhile.
            SourceBusy: The source wants to be left alone, and so do the items behind.
        """
        ...
