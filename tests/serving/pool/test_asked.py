"""Questions and their answers, in whatever order they come."""

from __future__ import annotations

import asyncio

import pytest

from shoal.serving.pool.asked import Asked


def test_each_question_gets_its_own_answer() -> None:
    async def main() -> None:
        asked: Asked[str] = Asked()
        one, two, three = (asked.expect(number) for number in (1, 2, 3))
        assert asked.answer(2, "two")
        assert asked.fail(1, ValueError("no"))
        assert await two == "two"
        with pytest.raises(ValueError, match="no"):
            await one
        assert not asked.answer(2, "nobody asked again")
        assert not asked.fail(9, ValueError())
        asked.fail_all(OSError("gone"))
        with pytest.raises(OSError, match="gone"):
            await three
        with pytest.raises(OSError, match="gone"):
            await asked.expect(4)

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for_any_more_is_no_error() -> None:
    async def main() -> None:
        asked: Asked[str] = Asked()
        given_up = asked.expect(1)
        given_up.cancel()
        assert asked.answer(1, "late")
        asked.expect(2).cancel()
        asked.fail_all(OSError())

    asyncio.run(main())
