"""Fetches pictures: only from hosts that are allowed, only so large, only so long."""

import urllib.request
from collections.abc import Collection
from urllib.parse import urlsplit

MAX_BYTES = 4 * 1024 * 1024
SECONDS = 2.0


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """An allowed host must not lead to one that is not."""

    def redirect_request(self, *args: object) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))


def fetch(url: str, hosts: Collection[str]) -> bytes:
    """The bytes at an address.

    Raises:
        ValueError: an address that is not allowed, or too much behind it.
        OSError: nothing answers, or not with 200.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname not in hosts:
        raise ValueError(f"{url[:80]} is no http address of {', '.join(hosts)}")
    with OPENER.open(url, timeout=SECONDS) as answer:
        content: bytes = answer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{url[:80]} has more than {MAX_BYTES} bytes")
    return content
