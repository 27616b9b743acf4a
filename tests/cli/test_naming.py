"""What people type for models, services and environments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.naming import ModelRef, ServiceRef, environments, model_ref, numbers, pairs, scalars, service_ref
from shoal.core.errors import ConfigError
from shoal.core.service import address

LABELS = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iris", ModelRef("default", "iris", "latest")),
        ("iris:3", ModelRef("default", "iris", "3")),
        ("team-a/iris:0.1.0", ModelRef("team-a", "iris", "0.1.0")),
        ("team-a/iris", ModelRef("team-a", "iris", "latest")),
    ],
)
def test_models(text: str, expected: ModelRef) -> None:
    assert model_ref(text) == expected


@pytest.mark.parametrize("text", ["", ":3", "iris:", "/iris", "a/b/iris", "a/"])
def test_no_models(text: str) -> None:
    with pytest.raises(ConfigError, match="names no model"):
        model_ref(text)


@given(LABELS, LABELS, LABELS)
def test_a_reference_comes_back(namespace: str, name: str, ref: str) -> None:
    assert model_ref(f"{namespace}/{name}:{ref}") == (namespace, name, ref)
    assert service_ref(address(name, ref, namespace)) == (namespace, name, ref)


def test_services() -> None:
    assert service_ref("iris") == ServiceRef("default", "iris", "production")
    assert service_ref("iris", "staging") == ServiceRef("default", "iris", "staging")
    assert service_ref("iris+staging@a", "staging") == ServiceRef("a", "iris", "staging")
    for text, environment in (("", None), ("+staging", None), ("iris+staging", "production")):
        with pytest.raises(ConfigError):
            service_ref(text, environment)


@pytest.mark.parametrize("words", [["a->b"], ["a", "b"], ["a", "->", "b"], ["a →b"]])
def test_two_environments(words: list[str]) -> None:
    if words == ["a", "->", "b"]:
        with pytest.raises(ConfigError):
            environments(words)
    else:
        assert environments(words) == ("a", "b")


@pytest.mark.parametrize("words", [[], ["a"], ["a->"], ["a", "b", "c"], ["->"], ["a", ""]])
def test_other_numbers_of_environments(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="two environments"):
        environments(words)


def test_keys_and_values() -> None:
    assert pairs(["a=b=c", "d="], "--tag") == {"a": "b=c", "d": ""}
    assert numbers(["auc=0.9"], "--metric") == {"auc": 0.9}
    assert scalars(["n=3", "c=0.5", "bias=true", "kernel=rbf"], "--param") == {
        "n": 3,
        "c": 0.5,
        "bias": True,
        "kernel": "rbf",
    }
    assert pairs(None, "--tag") == {}
    for call in (lambda: pairs(["a"], "--tag"), lambda: pairs(["=a"], "--tag"), lambda: numbers(["a=b"], "--metric")):
        with pytest.raises(ConfigError):
            call()
