"""Whose request it is: addresses as they are written, networks, and the walk along the proxies."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_toolkit.core.addresses import Proxies
from redis_toolkit.core.networks import Networks, group, packed, written

WRITTEN = {
    "1.2.3.4": "1.2.3.4",
    " 1.2.3.4 ": "1.2.3.4",
    "1.2.3.4:5678": "1.2.3.4",
    '"1.2.3.4"': "1.2.3.4",
    "2001:db8::1": "2001:db8::1",
    "2001:DB8:0::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    '"[2001:db8::1]:443"': "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "::ffff:1.2.3.4": "1.2.3.4",
    "::ffff:102:304": "1.2.3.4",
    "[::ffff:1.2.3.4]:80": "1.2.3.4",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_an_address(text: str) -> None:
    """With port, brackets, quotes or zone; IPv4 in IPv6's clothes is IPv4."""
    found = packed(text)
    assert found is not None
    assert written(found) == WRITTEN[text]


@pytest.mark.parametrize(
    "text",
    [
        "", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0x7f.1", "1", "1.2.3.4:", "1.2.3.4:x",
        "1.2.3.4:1:2", "[1.2.3.4", "[::1", "[::1]x", "[::1]:", "::1%", "1.2.3.4%eth0", "::1\0", "1.2.3.4\n5", ":::", "g::",
        "1" * 10_000, "\u0661.2.3.4", "1.2.3.4:\u0661",
    ],
)  # fmt: skip
def test_no_address(text: str) -> None:
    """Garbage is none, and raises nothing."""
    assert packed(text) is None


@given(st.text())
def test_anything(text: str) -> None:
    """Whatever is sent: an address or none."""
    assert packed(text) is None or len(packed(text) or b"") in {4, 16}


@given(st.ip_addresses(), st.integers(32, 128))
def test_groups(address: object, bits: int) -> None:
    """Of IPv6 the first bits, of IPv4 all."""
    data = packed(str(address))
    assert data is not None
    real = ip_address(data)
    expected = real if real.version == 4 else ip_network((real, bits), strict=False).network_address
    assert group(data, bits) == expected.packed


@given(
    st.lists(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="2001:db8::/32"), max_size=8), st.data()
)
def test_networks(addresses: list[object], data: st.DataObject) -> None:
    """An address is in them if it is in one of them."""
    given_ = [f"{each}/{data.draw(st.integers(8, 32 if '.' in str(each) else 128))}" for each in addresses]
    networks = [ip_network(each, strict=False) for each in given_]
    found = Networks(map(str, networks))
    assert bool(found) is bool(networks)
    for probe in (*addresses, ip_address("10.1.2.3"), ip_address("2001:db8::5"), ip_address("192.0.2.1")):
        real = ip_address(str(probe))
        expected = any(real in network for network in networks if network.version == real.version)
        assert (real.packed in found) is expected


def test_a_mapped_network_is_one_of_ipv4() -> None:
    """As an address is."""
    assert b"\x0a\x01\x02\x03" in Networks(["::ffff:10.0.0.0/104"])


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "home", "10.0.0.0/8/8"])
def test_no_network(text: str) -> None:
    """It is named, with how one is written."""
    with pytest.raises(ValueError, match="is no network or address"):
        Networks([text])


TRUSTED = ("10.0.0.0/8", "2001:db8:ffff::/48")
#: The peer, X-Forwarded-For, the client, by what it is known.
WALKS = {
    "a direct client": ("203.0.113.5", None, "203.0.113.5", "REMOTE_ADDR"),
    "a direct client that forges": ("203.0.113.5", "1.1.1.1", "203.0.113.5", "REMOTE_ADDR"),
    "one that knows our proxies": ("203.0.113.5", "8.8.8.8, 10.0.0.1", "203.0.113.5", "REMOTE_ADDR"),
    "one proxy": ("10.0.0.1", "203.0.113.5", "203.0.113.5", "X-Forwarded-For"),
    "two proxies": ("10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5", "X-Forwarded-For"),
    "forged on the left": ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", "203.0.113.5", "X-Forwarded-For"),
    "proxies all the way": ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", "X-Forwarded-For"),
    "garbage on the left": ("10.0.0.1", "x, 203.0.113.5", "203.0.113.5", "X-Forwarded-For"),
    "garbage in the middle": ("10.0.0.1", "203.0.113.5, x, 10.0.0.2", "10.0.0.2", "X-Forwarded-For"),
    "garbage on the right": ("10.0.0.1", "203.0.113.5, x", "10.0.0.1", "REMOTE_ADDR, for X-Forwarded-For names nobody"),
    "ports": ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5", "X-Forwarded-For"),
    "IPv6": ("2001:db8:ffff::1", "[2001:db8::5]:443", "2001:db8::5", "X-Forwarded-For"),
    "a mapped proxy": ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5", "X-Forwarded-For"),
    "no header": ("10.0.0.1", None, "10.0.0.1", "REMOTE_ADDR, for there is no X-Forwarded-For"),
    "an empty header": ("10.0.0.1", "", "10.0.0.1", "REMOTE_ADDR, for X-Forwarded-For names nobody"),
    "a long header": ("10.0.0.1", "1.1.1.1," * 5000 + "203.0.113.5", "203.0.113.5", "X-Forwarded-For"),
    "a socket": ("", "203.0.113.5", None, "REMOTE_ADDR"),
    "no peer": ("unknown", "203.0.113.5", None, "REMOTE_ADDR"),
}


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_the_walk(walk: tuple[str, str | None, str | None, str]) -> None:
    """From the right, past the proxies that are ours, to the first address that is not."""
    peer, header, client, told = walk
    meta = {"REMOTE_ADDR": peer} | ({} if header is None else {"HTTP_X_FORWARDED_FOR": header})
    found = Proxies(TRUSTED).client(meta)
    assert (None if found.address is None else written(found.address), found.told) == (client, told)


def test_a_header_is_never_cut_through_an_address() -> None:
    """Of what is too long the rest of the first entry is nobody's address."""
    long = ",".join(["10.0.0.2"] * 2000)
    found = Proxies(TRUSTED).client({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.5," + long})
    assert found.address == packed("10.0.0.2")


def test_a_web_server_at_a_socket() -> None:
    """It has no address, and is believed if that is said."""
    found = Proxies(("unix",)).client({"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "203.0.113.5"})
    assert found.address == packed("203.0.113.5")


def test_the_header_of_an_edge() -> None:
    """The whole value is the address; garbage in it is nobody's."""
    edge = Proxies(TRUSTED, "CF-Connecting-IP")
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "1.1.1.1"}
    assert edge.client({**meta, "HTTP_CF_CONNECTING_IP": "203.0.113.5"}).address == packed("203.0.113.5")
    assert edge.client({**meta, "HTTP_CF_CONNECTING_IP": "203.0.113.5, 1.1.1.1"}).address == packed("10.0.0.1")
    assert edge.client(meta).address == packed("10.0.0.1")


@given(st.text(), st.text())
def test_any_headers(peer: str, header: str) -> None:
    """Whatever is sent, nothing is raised."""
    Proxies(("unix", *TRUSTED)).client({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": header})
