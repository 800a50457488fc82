from collections.abc import Sequence

import pytest

from gateway.errors import blur
from gateway.sources.public_addresses import PublicAddresses
from gateway.sources.reader import SourceUnreadable

INSIDE = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost"),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.192", "198.18.0.1"),
    *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::"),
]


@pytest.mark.parametrize("host", INSIDE)
async def test_what_is_not_public_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(SourceUnreadable):
        await PublicAddresses().resolve(host, 80)


async def test_public_addresses_are_returned() -> None:
    assert await PublicAddresses().resolve("93.184.216.34", 443) == ["93.184.216.34"]
    assert await PublicAddresses().resolve("2606:4700::1111", 443) == ["2606:4700::1111"]


async def test_one_private_address_among_public_ones_is_enough() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(SourceUnreadable):
        await PublicAddresses(resolve=resolve).resolve("example.org", 80)


async def test_what_the_operator_allows_is_allowed_and_no_more() -> None:
    addresses = PublicAddresses(["127.0.0.0/8", "fd00::/8"])
    assert await addresses.resolve("127.0.0.1", 80) == ["127.0.0.1"]
    assert await addresses.resolve("::ffff:127.0.0.1", 80) == ["::ffff:7f00:1"]
    with pytest.raises(SourceUnreadable):
        await addresses.resolve("10.0.0.1", 80)


async def test_a_refusal_stays_readable_when_it_is_blurred_for_a_tenant() -> None:
    with pytest.raises(SourceUnreadable) as caught:
        await PublicAddresses().resolve("127.0.0.1", 443)
    assert blur(str(caught.value)) == str(caught.value), "it had a blurred name"
