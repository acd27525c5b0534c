"""Whether an address is this host's own is the kernel's answer, and no guess where it has none."""

from __future__ import annotations

import socket

import pytest
from ansible.module_utils.ib_gateway.observe import own_address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10"])
def test_every_loopback_address_is_the_host_s_own(address: str) -> None:
    assert own_address.is_own(address) is True


@pytest.mark.parametrize("address", ["192.0.2.1", "198.51.100.7"])
def test_an_address_that_no_interface_has_is_not(address: str) -> None:
    assert own_address.is_own(address) is False


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_ipv6_addresses_are_told_as_well() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6 loopback")
    assert (own_address.is_own("::1"), own_address.is_own("2001:db8::7")) == (True, False)


def test_of_what_cannot_be_asked_nothing_is_told() -> None:
    assert own_address.is_own("fe80::1") is None  # of which interface?
