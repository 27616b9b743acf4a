"""What may be fetched."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest

from shoal.core.errors import ConfigError, PermissionDenied
from shoal.core.outgoing.policy import VARIABLE, Allow, policy_of
from shoal.core.outgoing.urls import parse


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        (None, "http://anything.example/", True),
        ((), "http://anything.example/", False),
        (("example.org",), "http://EXAMPLE.org./", True),
        (("Example.org",), "http://example.org/", True),
        (("example.org",), "http://www.example.org/", False),
        (("example.org",), "http://example.org.evil.test/", False),
        (("example.org",), "http://evilexample.org/", False),
        (("*.example.org",), "http://a.b.example.org/", True),
        (("*.example.org",), "http://example.org/", False),
        (("*.example.org",), "http://evilexample.org/", False),
        (("[2606:4700:0::1]",), "http://[2606:4700::1]/", True),
        (("93.184.216.34",), "http://93.184.216.34/", True),
    ],
)
def test_hosts_are_compared_whole(hosts, url, allowed):
    try:
        Allow(hosts=hosts).check(parse(url))
    except PermissionDenied:
        assert not allowed
    else:
        assert allowed


def test_schemes_are_a_list():
    Allow(schemes=("https",)).check(parse("https://example.org/"))
    with pytest.raises(PermissionDenied, match="over http"):
        Allow(schemes=("https",)).check(parse("http://example.org/"))


@pytest.mark.parametrize(
    ("addresses", "private", "allowed"),
    [
        (["1.1.1.1"], False, True),
        (["1.1.1.1", "10.0.0.1"], False, False),
        (["10.0.0.1"], True, True),
        (["1.1.1.1", "169.254.169.254"], True, False),
        (["fd00:ec2::254"], True, False),
    ],
)
def test_one_address_that_is_not_allowed_is_enough(addresses, private, allowed):
    found = [ipaddress.ip_address(each) for each in addresses]
    target = parse("http://example.org/")
    if allowed:
        Allow(private=private).check_addresses(target, found)
        return
    with pytest.raises(PermissionDenied) as caught:
        Allow(private=private).check_addresses(target, found)
    assert not any(each in str(caught.value) for each in addresses)


def test_a_worker_reads_the_policy_of_its_node():
    allow = Allow(hosts=("a.example",), private=True, own_ports=(8080,))
    assert policy_of({VARIABLE: msgspec.json.encode(allow).decode()}) == allow
    assert policy_of({}) == Allow()
    with pytest.raises(ConfigError, match="cannot be read"):
        policy_of({VARIABLE: '{"host": []}'})
