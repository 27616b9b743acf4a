"""The Dockerfile's promises, read from its text."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.control.environments.dockerfile import dockerfile

DIGEST = "d" * 64


def text(**changes: Any) -> str:
    given = {
        "name": "churn", "bundle": "churn-dddd.tar", "digest": DIGEST, "python": "cpython-3.11", "platform": "linux",
        "shoal": "0.1.0", "with_model": False,
    }  # fmt: skip
    return dockerfile(**(given | changes))


def instructions(content: str) -> list[str]:
    lines = [line for line in content.splitlines() if not line.startswith("#")]
    return [each for each in "\n".join(lines).replace("\\\n", " ").splitlines() if each]


def test_it_has_two_stages_on_one_base_and_the_second_takes_only_what_was_made() -> None:
    found = instructions(text())

    assert [each for each in found if each.startswith("FROM")] == ["FROM ${BASE_IMAGE} AS build", "FROM ${BASE_IMAGE}"]
    last = found[found.index("FROM ${BASE_IMAGE}") :]
    assert all(each.startswith("COPY --from=build") for each in last if each.startswith(("COPY", "ADD")))
    assert not any(each.startswith("RUN") for each in last)


def test_it_installs_offline_by_hash_and_leaves_no_pip() -> None:
    (run,) = (each for each in instructions(text()) if each.startswith("RUN"))

    assert {"--no-index", "--require-hashes", "--only-binary", "--without-pip"} <= set(run.split())
    assert "pip check" in run


def test_it_runs_without_rights_and_says_whether_it_is_well() -> None:
    found = instructions(text())

    assert "USER 10001:10001" in found
    assert any(each.startswith("HEALTHCHECK") and "/v2/health/ready" in each for each in found)
    assert 'ENTRYPOINT ["shoal", "serve"]' in found


def test_weights_are_there_only_if_asked_for() -> None:
    assert not any("/bundle/model" in each for each in instructions(text()) if each.startswith("COPY"))
    assert 'shoal.weights="none"' in text()
    assert "COPY --from=build /bundle/model /models/churn" in instructions(text(with_model=True))


@pytest.mark.parametrize(
    ("base", "line"), [("", "ARG BASE_IMAGE"), ("python@sha256:1", "ARG BASE_IMAGE=python@sha256:1")]
)
def test_the_base_is_named_by_the_project_or_must_be_given(base: str, line: str) -> None:
    assert line in instructions(text(base_image=base))


def test_it_names_the_bundle_by_its_digest() -> None:
    assert f'shoal.bundle="sha256:{DIGEST}"' in text()
    assert "ADD churn-dddd.tar /bundle/" in text()
