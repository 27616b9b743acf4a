"""Addresses that everybody reads the same way, and those that nobody should read at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput
from shoal.core.outgoing.urls import follow, parse

GOOD = {
    "https://example.org": "https://example.org/",
    "HTTPS://Example.ORG:443/a?b=1#c": "https://example.org/a?b=1",
    "http://example.org:8080/x": "http://example.org:8080/x",
    "http://example.org./": "http://example.org/",
    "http://93.184.216.34/a": "http://93.184.216.34/a",
    "http://[2606:4700:0:0::1111]:8080/": "http://[2606:4700::1111]:8080/",
    "http://xn--bcher-kva.example/": "http://xn--bcher-kva.example/",
    "http://a_b.example/%41": "http://a_b.example/%41",
    "http://example.org/a..b/...": "http://example.org/a..b/...",
    "http://example.org?x=1": "http://example.org/?x=1",
    "http://localhost/": "http://localhost/",
}
BAD = Path(__file__).with_name("bad_addresses.txt").read_text().split()
ODD = ["", " ", "http://exa mple.org/", " http://example.org/", "http://example.org/\n", "http://example.org/\r\nX: y",
       "http://example.org/\0", "http://example.org\t/", "http://１２７.0.0.1/", "http://①②⑦.0.0.1/",
       "http://bücher.example/", "http://example。org/", "http://ⅇxample.org/", "http://example.org/ü",
       "http://loc\u00adalhost/", "http://\u202eexample.org/", "http://example.org/" + "a" * 2048,
       "http://" + "a" * 64 + ".org/", "http://" + "a." * 127 + "org/", "http://[::1]\u200b/"]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_good_addresses_have_one_form(url):
    assert str(parse(url)) == GOOD[url]
    assert parse(GOOD[url]) == parse(url)


def test_no_bad_address_is_taken():
    assert len(BAD) + len(ODD) > 120
    taken = [url for url in [*BAD, *ODD] if not isinstance(outcome(url), InvalidInput)]
    assert taken == []


def test_a_password_is_not_told():
    with pytest.raises(InvalidInput) as caught:
        parse("http://user:canary@example.org/")
    assert "canary" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.field == "url"


def outcome(url):
    try:
        return parse(url)
    except InvalidInput as error:
        return error


@given(st.text(st.sampled_from("htp:/\\.@#?[]%:0x127aé-_ \t") | st.characters(), max_size=30))
def test_whatever_is_taken_reads_the_same_again(text):
    for url in (text, f"http://{text}", f"http://{text}/", f"https://example.org{text}"):
        target = outcome(url)
        if isinstance(target, InvalidInput):
            continue
        assert parse(str(target)) == target
        assert target.host == target.host.lower()
        assert "@" not in target.authority
        assert url.isascii()
        assert url.isprintable()


@pytest.mark.parametrize(
    ("location", "meant"),
    [
        ("/b", "https://example.org/b"),
        ("c?d", "https://example.org/a/c?d"),
        ("//other.example/x", "https://other.example/x"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
        ("../b", "https://example.org/b"),
    ],
)
def test_redirects_are_read_like_addresses(location, meant):
    assert str(follow(parse("https://example.org/a/b"), location)) == meant


@pytest.mark.parametrize(
    "location", ["", "file:///etc/passwd", "http://u:p@10.0.0.1/", "//127.1/", "\\\\evil", "x y", "gopher://x/", "ü"]
)
def test_bad_redirects_are_refused(location):
    with pytest.raises(InvalidInput):
        follow(parse("https://example.org/a/b"), location)
