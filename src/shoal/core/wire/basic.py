"""The password of `Authorization: Basic`, which is all that a browser can send when somebody opens a page. Pure."""

from __future__ import annotations

import base64
import binascii


def password(encoded: bytes) -> bytes:
    """What follows the first colon; whatever name is before it.

    Args:
        encoded: what the header says after `Basic`.

    Raises:
        ValueError: it is no Base64; the sentence does not hold it.
    """
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        raise ValueError("the credential is not what Basic authentication promises") from None
