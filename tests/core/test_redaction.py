"""Passwords in URLs are not shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.redaction import holds_secret, redact


@pytest.mark.parametrize(
    ("text", "shown", "secret"),
    [
        ("nothing", "nothing", False),
        ("http://example.org/a?b=c", "http://example.org/a?b=c", False),
        ("postgresql://ann:canary@db/shoal", "postgresql://***@db/shoal", True),
        (
            "postgresql+psycopg://ann:ca%40nary@db:5432/shoal?password=canary",
            "postgresql+psycopg://***@db:5432/shoal?password=***",
            True,
        ),
        ("cannot reach 'redis://:canary@h:1/0', trying", "cannot reach 'redis://***@h:1/0', trying", True),
        ("https://canary@github.com/x", "https://***@github.com/x", False),
        ("a http://u:canary@b/ c http://u:canary@d/", "a http://***@b/ c http://***@d/", True),
        ("http://u:can@ary@host/", "http://***@host/", True),
        ("https://b.s3.example/k?X-Amz-Signature=canary&x=1", "https://b.s3.example/k?X-Amz-Signature=***&x=1", True),
        ("https://a.blob.example/k?sv=1&sig=canary", "https://a.blob.example/k?sv=1&sig=***", True),
        ("mail ann@example.org", "mail ann@example.org", False),
    ],
)
def test_urls_lose_their_secrets(text, shown, secret):
    assert redact(text) == shown
    assert holds_secret(text) == secret


PASSWORDS = st.text(
    st.characters(codec="ascii", exclude_characters="/?#'\"<>", exclude_categories=["C", "Z"]), min_size=1
)


@given(PASSWORDS, st.text(st.characters(codec="ascii", categories=["L"])), st.text(max_size=10))
def test_no_password_of_a_url_is_left(password, user, around):
    text = redact(f"{around} postgresql://{user}:CANARY{password}CANARY@db/shoal {around}")
    assert "CANARY" not in text
    assert redact(text) == text
