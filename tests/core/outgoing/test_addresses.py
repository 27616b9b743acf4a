"""Whose an IP address is."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.outgoing.addresses import Kind, kind_of

PRIVATE = ["127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
           "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]  # fmt: skip
NEVER = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1",
         "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "203.0.113.9", "192.88.99.1",
         "::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::",
         "2001:0:4136:e378::1", "2001:db8::1", "::7f00:1", "::ffff:169.254.169.254", "::ffff:0:7f00:1", "100::1"]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "192.169.0.1", "223.255.255.255",
          "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "addresses"), [(Kind.PRIVATE, PRIVATE), (Kind.NEVER, NEVER), (Kind.PUBLIC, PUBLIC)], ids=str
)
def test_each_address_is_whose_it_is(kind, addresses):
    wrong = [each for each in addresses if kind_of(ipaddress.ip_address(each)) is not kind]
    assert not wrong


@given(st.ip_addresses(v=4))
def test_what_we_call_public_python_does_not_call_private(address):
    if kind_of(address) is Kind.PUBLIC:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_what_we_call_public_is_global_unicast(address):
    if kind_of(address) is Kind.PUBLIC and address.ipv4_mapped is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_within_another_counts_as_itself(address):
    assert kind_of(ipaddress.IPv6Address(f"::ffff:{address}")) is kind_of(address)
