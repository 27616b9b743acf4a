"""What the end of a child process is told as."""

from __future__ import annotations

import pytest

from shoal.node.tree.child import End, ended


@pytest.mark.parametrize(
    ("code", "lines", "end"),
    [
        (2, ["12:00:00 INFO    x", "shoal: no model", "  hint: put one there"], End(2, "no model", "put one there")),
        (2, ["error: taken", "  field: port", "  hint: another"], End(2, "taken", "another")),
        (1, ["shoal: first", "shoal: last"], End(1, "last")),
        (1, ["Traceback (most recent call last):", "ValueError: odd"], End(1, "ValueError: odd")),
        (-9, ["12:00:00 INFO    model ready"], End(-9, "SIGKILL")),
        (3, [], End(3, "exit_3")),
        (0, ["12:00:00 INFO    stopping"], End(0, "exit_0")),
    ],
)
def test_it_is_the_error_that_was_told_or_what_ended_it(code: int, lines: list[str], end: End) -> None:
    assert ended(code, lines) == end
