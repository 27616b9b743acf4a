"""What a worker says of an item that failed, when it cannot be read."""

from __future__ import annotations

import pytest

from shoal.core.errors import InvalidInput, ModelError
from shoal.core.ipc import messages
from shoal.serving.batching.ledger import _error_of


@pytest.mark.parametrize("record", [b"", b"\xc1", b"\x92\xa1a\xa1\xff", b"\x93\xa4code"])
def test_an_error_that_cannot_be_read_is_the_models(record: bytes) -> None:
    assert type(_error_of(record)) is ModelError


def test_an_error_keeps_its_kind() -> None:
    error = _error_of(messages.encode(InvalidInput("no", field="inputs").to_record()))
    assert (type(error), str(error), error.field) == (InvalidInput, "no", "inputs")
