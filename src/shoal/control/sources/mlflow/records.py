"""What MLflow tells of a version and of its run, as values, and what of it becomes lineage.

Parameters are text in MLflow: one that is written as Python writes a number or a truth becomes one. Metrics that are no
finite numbers are left out, since JSON has none. The dataset is the one that was logged for training, else the first.
"""

from __future__ import annotations

import math

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.registry import Lineage, Scalar, Tags, check_alias

COMMIT = "mlflow.source.git.commit"
METHOD = "estimator_class"
"""Set by MLflow's automatic logging of scikit-learn."""
CONTEXT = "mlflow.data.context"
_PLACES = ("uri", "url", "path", "name")


class Pair(msgspec.Struct, frozen=True):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Metric(msgspec.Struct, frozen=True):
    """The last value of a metric; text where it is no number."""

    key: str
    value: float | str = 0.0


class ModelVersion(msgspec.Struct, frozen=True):
    """A version in MLflow's registry."""

    name: str
    version: str
    status: str = "READY"
    run_id: str = ""
    description: str = ""
    tags: tuple[Pair, ...] = ()
    aliases: tuple[str, ...] = ()


class Data(msgspec.Struct, frozen=True):
    metrics: tuple[Metric, ...] = ()
    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class Dataset(msgspec.Struct, frozen=True):
    name: str = ""
    digest: str = ""
    source: str = ""


class DatasetInput(msgspec.Struct, frozen=True):
    dataset: Dataset = Dataset()
    tags: tuple[Pair, ...] = ()


class Inputs(msgspec.Struct, frozen=True):
    dataset_inputs: tuple[DatasetInput, ...] = ()


class Run(msgspec.Struct, frozen=True):
    """The run that made a version."""

    data: Data = Data()
    inputs: Inputs = Inputs()


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a source knows of a version (see `fetching.Fetched`)."""

    model: str = ""
    aliases: tuple[str, ...] = ()
    description: str = ""
    tags: Tags = {}
    lineage: Lineage = Lineage()


def known_of(version: ModelVersion, run: Run) -> Known:
    """A version and its run in our words."""
    return Known(
        model=version.name,
        aliases=tuple(each for each in version.aliases if _is_alias(each)),
        description=version.description,
        tags=_mapping(version.tags),
        lineage=lineage_of(run, _mapping(version.tags)),
    )


def lineage_of(run: Run, version_tags: Tags) -> Lineage:
    """Where a version comes from; a tag of the version wins over one of its run."""
    tags = _mapping(run.data.tags) | version_tags
    dataset = _dataset(run.inputs)
    return Lineage(
        dataset=_place(dataset),
        dataset_hash=dataset.digest,
        method=tags.get(METHOD, ""),
        hyperparameters={each.key: to_scalar(each.value) for each in run.data.params},
        metrics={each.key: float(each.value) for each in run.data.metrics if _is_finite(each.value)},
        code=tags.get(COMMIT, ""),
    )


def to_scalar(text: str) -> Scalar:
    """The number or truth that is written so, or the text itself: written again, it is the same text."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value) and abs(value) < 2**63:
            return value
    return text


def _is_finite(value: float | str) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _dataset(inputs: Inputs) -> Dataset:
    found = inputs.dataset_inputs
    training = [each for each in found if _mapping(each.tags).get(CONTEXT) == "training"]
    return (training or list(found) or [DatasetInput()])[0].dataset


def _place(dataset: Dataset) -> str:
    """Where the data lies, as far as it is told; else its name."""
    try:
        source = msgspec.json.decode(dataset.source or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        source = {}
    told = (source.get(name) for name in _PLACES)
    return next((each for each in told if isinstance(each, str) and each), dataset.name)


def _mapping(pairs: tuple[Pair, ...]) -> Tags:
    return {each.key: each.value for each in pairs}


def _is_alias(text: str) -> bool:
    try:
        check_alias(text)
    except InvalidInput:
        return False
    return True
