from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator

import pytest

from shoal.core.errors import InvalidInput, NotFound
from shoal.serving.gateway import lookup
from support.gateway_fakes import FakeHandle, FakeModels, handle


class Endless(FakeModels):
    """Knows more models than anybody can look at, and counts those that somebody has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def all(self) -> list[FakeHandle]:
        raise AssertionError("an unknown name is no reason to list all models")

    def some(self, limit: int) -> Iterator[str]:  # type: ignore[override]
        for number in itertools.islice(itertools.count(), limit):
            self.seen += 1
            yield f"fraud-detection-of-team-{number:06}"


def test_a_model_that_is_nowhere_is_answered_with_near_names() -> None:
    with pytest.raises(NotFound) as raised:
        lookup.find(FakeModels(handle("iris"), handle("wine")), "irsi")
    assert raised.value.hint == "did you mean iris?"


def test_a_model_that_is_still_to_be_looked_for_costs_no_comparison() -> None:
    models = Endless()
    models.elsewhere["irsi", ""] = handle("irsi")
    with pytest.raises(NotFound, match="no model 'irsi'"):
        lookup.find(models, "irsi")
    assert models.seen == 0


def test_among_many_models_a_few_are_looked_at_and_fewer_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = difflib.SequenceMatcher.set_seq1

    def counted(matcher: difflib.SequenceMatcher[str], name: str) -> None:
        compared.append(name)
        real(matcher, name)

    monkeypatch.setattr(difflib.SequenceMatcher, "set_seq1", counted)
    models = Endless()
    with pytest.raises(NotFound) as raised:
        lookup.find(models, "fraud-detection-of-taem-000042")
    assert "fraud-detection-of-team-000042" in raised.value.hint
    assert models.seen == lookup.NEAR_AMONG
    assert 0 < len(compared) - compared.count("") <= lookup.COMPARED


@pytest.mark.parametrize("meant", ["rate-limiter", "wine"])
@pytest.mark.parametrize("slip", ["left out", "twice", "swapped", "another"])
def test_a_slip_anywhere_in_a_name_is_understood(meant: str, slip: str) -> None:
    others = [handle(f"{letter}{number}") for letter in "rwx" for number in range(20)]
    for at in range(len(meant) - 1):
        start, rest = meant[:at], meant[at:]
        ends = {
            "left out": rest[1:],
            "twice": rest[0] + rest,
            "swapped": rest[1::-1] + rest[2:],
            "another": "q" + rest[1:],
        }
        if (name := start + ends[slip]) == meant:
            continue
        with pytest.raises(NotFound) as raised:
            lookup.find(FakeModels(*others, handle(meant)), name)
        assert meant in raised.value.hint


def test_what_can_be_no_name_is_not_looked_for() -> None:
    models = FakeModels()
    for name, version in (("../etc", ""), ("iris", "1/2")):
        with pytest.raises(InvalidInput):
            lookup.find(models, name, version)
    assert models.finds == 0
