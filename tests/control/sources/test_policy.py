"""What may be fetched from where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.sources import SourcePolicy, parse_address
from shoal.core.errors import ConfigError, PermissionDenied

POLICY = SourcePolicy(roots=("/models", "/srv/data/"), buckets=("s3://models/team-a", "gs://all"))


@pytest.mark.parametrize(
    "address",
    [
        "/models",
        "/models/iris",
        "/srv/data/x",
        "s3://models/team-a",
        "s3://models/team-a/iris",
        "gs://all",
        "gs://all/x",
        "mlflow://m/1",
    ],
)
def test_what_is_below_an_allowed_place_is_allowed(address: str) -> None:
    POLICY.check(parse_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/etc/passwd",
        "/models2",
        "/srv",
        "/srv/database",
        "s3://models",
        "s3://models/team-ab",
        "s3://models/team-b",
        "gs://models/team-a",
        "s3://all",
        "az://all",
    ],
)
def test_what_is_beside_it_is_not(address: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        POLICY.check(parse_address(address))
    assert "/models" in caught.value.hint or "gs://all" in caught.value.hint


def test_by_default_only_mlflow_is_allowed() -> None:
    SourcePolicy().check(parse_address("mlflow://m/1"))
    for address, told in (("/models", "no folders are allowed"), ("s3://models", "no buckets are allowed")):
        with pytest.raises(PermissionDenied) as caught:
            SourcePolicy().check(parse_address(address))
        assert told in caught.value.hint
    with pytest.raises(PermissionDenied, match="MLflow"):
        SourcePolicy(mlflow=False).check(parse_address("mlflow://m/1"))


def test_no_list_allows_all() -> None:
    for address in ("/etc", "s3://any/thing"):
        SourcePolicy(roots=None, buckets=None).check(parse_address(address))


@pytest.mark.parametrize("bucket", ["models", "/models", "s3://a:b@models", "mlflow://m/1", "https://x"])
def test_a_policy_that_is_wrong_says_so(bucket: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SourcePolicy(buckets=(bucket,)).check(parse_address("s3://models/x"))
    assert caught.value.field == "buckets"


_PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=4)


@given(_PATHS, _PATHS)
def test_an_allowed_path_has_the_parts_of_its_root(root: list[str], path: list[str]) -> None:
    policy = SourcePolicy(roots=("/" + "/".join(root),), buckets=("s3://bucket/" + "/".join(root),))
    below = path[: len(root)] == root
    for address in ("/" + "/".join(path), "s3://bucket/" + "/".join(path)):
        try:
            policy.check(parse_address(address))
        except PermissionDenied:
            assert not below
        else:
            assert below
