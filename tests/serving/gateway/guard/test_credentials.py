"""From headers to what was presented."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.gateway.guard import credentials


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({b"authorization": b"Bearer abc"}, "abc"),
        ({b"authorization": b"bearer  abc "}, "abc"),
        ({b"x-api-key": b"abc"}, "abc"),
        ({b"authorization": b"Bearer abc", b"x-api-key": b"def"}, "abc"),
        ({b"authorization": basic("anybody:abc")}, "abc"),
        ({b"authorization": basic(":a:bc")}, "a:bc"),
    ],
)
def test_a_credential_is_found_where_it_may_be(headers: dict[bytes, bytes], text: str) -> None:
    value = credentials.presented(headers)
    assert value is not None
    assert credentials.text_of(value) == text


def test_nothing_is_presented_without_a_header() -> None:
    assert credentials.presented({b"content-type": b"text/plain"}) is None


@pytest.mark.parametrize(
    "value", [b"abc", b"Digest abc", b"Bearer \xff", b"Basic !!!", b"Bearer " + b"a" * 9000, b"", b"Basic \xff"]
)
def test_other_values_are_refused_without_being_repeated(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"credential|Bearer") as caught:
        credentials.text_of(value)
    assert "abc" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_value_is_text_or_a_sentence(value: bytes) -> None:
    with suppress(ValueError):
        assert credentials.text_of(value).isascii()


@pytest.mark.parametrize(
    ("method", "site", "counts"),
    [
        (b"GET", None, True),
        (b"HEAD", b"cross-site", True),
        (b"POST", b"same-origin", True),
        (b"POST", b"same-site", False),
        (b"POST", b"cross-site", False),
        (b"POST", b"none", False),
        (b"POST", None, False),
        (b"", b"cross-site", False),
    ],
)
def test_a_browsers_password_counts_for_no_other_sites_changes(method: bytes, site: bytes | None, counts: bool) -> None:
    headers = {} if site is None else {b"sec-fetch-site": site}
    assert credentials.basic_counts(method, headers) is counts
