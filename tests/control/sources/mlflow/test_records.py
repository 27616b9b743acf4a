"""What of MLflow's records becomes lineage."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.sources.mlflow.records import ModelVersion, Run, known_of, lineage_of, to_scalar
from shoal.core.registry import Lineage


def run(**parts: Any) -> Run:
    return msgspec.json.decode(json.dumps(parts), type=Run)


def dataset(name: str, source: str = "", digest: str = "d", context: str = "") -> dict[str, Any]:
    tags = [{"key": "mlflow.data.context", "value": context}] if context else []
    return {"dataset": {"name": name, "digest": digest, "source": source, "source_type": "x"}, "tags": tags}


def test_a_run_becomes_lineage() -> None:
    data = {
        "params": [{"key": "C", "value": "1.5"}, {"key": "kind", "value": "fast"}, {"key": "fit", "value": "True"}],
        "metrics": [{"key": "acc", "value": 0.75, "step": 3}, {"key": "bad", "value": "NaN"}, {"key": "n", "value": 7}],
        "tags": [
            {"key": "mlflow.source.git.commit", "value": "abc"},
            {"key": "estimator_class", "value": "sklearn.svm.SVC"},
        ],
    }
    inputs = {"dataset_inputs": [dataset("x", '{"uri": "s3://data/x.csv"}', "8f3a", "training")]}
    assert lineage_of(run(data=data, inputs=inputs), {}) == Lineage(
        dataset="s3://data/x.csv",
        dataset_hash="8f3a",
        method="sklearn.svm.SVC",
        hyperparameters={"C": 1.5, "kind": "fast", "fit": True},
        metrics={"acc": 0.75, "n": 7.0},
        code="abc",
    )


def test_a_run_that_knows_nothing_gives_no_lineage() -> None:
    assert lineage_of(Run(), {}) == Lineage()


def test_a_tag_of_the_version_wins() -> None:
    tags = {"mlflow.source.git.commit": "of the version"}
    found = run(data={"tags": [{"key": "mlflow.source.git.commit", "value": "of the run"}]})
    assert lineage_of(found, tags).code == "of the version"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([dataset("a"), dataset("b", context="training")], "b"),
        ([dataset("a", context="eval"), dataset("b", context="eval")], "a"),
        ([dataset("a", '{"url": "https://x/y"}')], "https://x/y"),
        ([dataset("a", '{"path": "/data/x"}')], "/data/x"),
        ([dataset("a", '{"uri": 7}')], "a"),
        ([dataset("a", "not json")], "a"),
        ([dataset("a", "[" * 5000)], "a"),
        ([dataset("a", "[]")], "a"),
        ([], ""),
    ],
)
def test_the_dataset_is_where_it_lies_or_what_it_is_called(inputs: list[Any], expected: str) -> None:
    assert lineage_of(run(inputs={"dataset_inputs": inputs}), {}).dataset == expected


def test_a_version_becomes_what_is_known() -> None:
    text = {
        "name": "iris",
        "version": "1",
        "status": "READY",
        "description": "the first",
        "tags": [{"key": "team", "value": "a"}, {"key": "empty"}],
        "aliases": ["champion", "latest", "7", "with space"],
        "unknown": {"x": 1},
    }
    known = known_of(msgspec.json.decode(json.dumps(text), type=ModelVersion), Run())
    assert (known.model, known.description, known.tags) == ("iris", "the first", {"team": "a", "empty": ""})
    assert known.aliases == ("champion",)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-3", -3), ("1.5", 1.5), ("1e-05", 1e-05), ("True", True), ("False", False), ("0", 0), ("1.0", 1.0)],
)
def test_numbers_and_truths_are_told_from_text(text: str, value: object) -> None:
    assert to_scalar(text) == value
    assert type(to_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["", "01", "1_000", " 1", "+1", "1e5", "nan", "inf", "true", "None", "٣", "9" * 30, "1.50", "9" * 6000]
)
def test_what_is_written_otherwise_stays_text(text: str) -> None:
    assert to_scalar(text) == text


@given(st.text(max_size=20) | st.integers().map(str) | st.floats().map(str) | st.booleans().map(str))
def test_a_parameter_written_again_is_the_same(text: str) -> None:
    value = to_scalar(text)
    assert str(value) == text
    assert not isinstance(value, float) or math.isfinite(value)


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda each: (
        st.lists(each, max_size=2)
        | st.dictionaries(
            st.sampled_from(["data", "tags", "params", "key", "value", "inputs", "dataset_inputs"]), each, max_size=3
        )
    ),
    max_leaves=6,
)


@given(_JSON)
def test_any_json_is_a_run_or_refused_whole(value: Any) -> None:
    try:
        found = msgspec.json.decode(json.dumps(value), type=Run)
    except msgspec.DecodeError:
        return
    msgspec.json.encode(lineage_of(found, {}))
