"""Projects: what is code, what is the model, and what `shoal-build.yaml` may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.control.environments.projects import MAX_CODE_BYTES, read_project
from shoal.core.errors import ConfigError


@pytest.fixture
def churn(tmp_path: Path) -> Path:
    folder = tmp_path / "repository" / "Churn Model"
    (folder / "helpers").mkdir(parents=True)
    (folder / "requirements.lock").write_text("a==1\n")
    (folder / "model.yaml").write_text("runtime: python\n")
    (folder / "model.py").write_text("pass\n")
    (folder / "helpers" / "dates.py").write_text("pass\n")
    (folder / "weights.bin").write_bytes(b"\0" * 100)
    return folder


def test_text_is_code_and_the_rest_is_the_model(churn: Path) -> None:
    (churn / "booster.json").write_text('{"learner": {}}')
    (churn / "trees.txt").write_text("tree\nversion=v4\n")
    (churn / "rates.json").write_text("{}")
    (churn / "huge.json").write_bytes(b" " * (MAX_CODE_BYTES + 1))

    project = read_project(churn)

    assert project.name == "churn-model"
    assert [each.requirement for each in project.lock.pins] == ["a==1"]
    assert set(project.code) == {"requirements.lock", "model.yaml", "model.py", "helpers/dates.py", "rates.json"}
    assert set(project.model) == {"weights.bin", "booster.json", "trees.txt", "huge.json"}


def test_what_model_yaml_names_is_the_model_whatever_it_looks_like(churn: Path) -> None:
    (churn / "model.yaml").write_text("runtime: transformers\npath: bert\n")
    (churn / "bert").mkdir()
    (churn / "bert" / "config.json").write_text("{}")

    assert "bert/config.json" in read_project(churn).model


def test_caches_hidden_files_environments_and_results_are_passed_over(churn: Path) -> None:
    for name in (
        ".git/config",
        "__pycache__/model.pyc",
        ".env",
        "venv/pyvenv.cfg",
        "venv/lib/x.py",
        "dist/x.py",
        "out/x.py",
    ):
        (churn / name).parent.mkdir(parents=True, exist_ok=True)
        (churn / name).write_text("x")

    project = read_project(churn, passed_over=churn / "out")

    assert len(project.code) == 4
    assert set(project.model) == {"weights.bin"}


def test_projects_of_one_repository_share_a_module(churn: Path) -> None:
    shared = churn.parent / "shared"
    shared.mkdir()
    (shared / "features.py").write_text("pass\n")
    (churn.parent / "one.py").write_text("pass\n")
    (churn / "shoal-build.yaml").write_text("include: [../shared, ../one.py]\n")

    project = read_project(churn)

    assert project.code["shared/features.py"] == shared / "features.py"
    assert project.code["one.py"] == churn.parent / "one.py"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "requirements: x.lock\ninclud: []\n",
            "shoal-build.yaml:2: includ: there is no such field; did you mean `include`?",
        ),
        ("\ninclude: [../nothing]\n", "shoal-build.yaml:2: include[0]: there is no '../nothing'"),
        ("include: [/etc/hostname]\n", "shoal-build.yaml:1: include[0]: must be relative to the project's folder"),
        ("include: [helpers]\n", "shoal-build.yaml:1: include[0]: helpers/dates.py is in the project already"),
        ("requirements: x.lock\n", "shoal-build.yaml:1: requirements: there is no 'x.lock'"),
        ("python: 3.11\n", "shoal-build.yaml:1: python:"),
        ("base_image: python:3.11-slim\n", "shoal-build.yaml:1: base_image: must end in @sha256: and a digest"),
        ("- a\n", "shoal-build.yaml:1: it must hold fields"),
    ],
)
def test_a_wrong_build_file_is_told_by_line(churn: Path, text: str, told: str) -> None:
    (churn / "shoal-build.yaml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_project(churn)
    assert caught.value.message.startswith(told)


def test_the_lock_may_have_another_name(churn: Path) -> None:
    (churn / "requirements.lock").rename(churn / "serving.lock")
    (churn / "shoal-build.yaml").write_text("requirements: serving.lock\n")
    assert read_project(churn).lock.lines == ("a==1",)

    (churn / "serving.lock").rename(churn / "requirements.txt")
    (churn / "shoal-build.yaml").unlink()
    assert read_project(churn).lock.lines == ("a==1",)


def test_a_project_without_a_lock_and_one_that_is_none_are_told(churn: Path) -> None:
    (churn / "requirements.lock").unlink()
    with pytest.raises(ConfigError, match=r"has no requirements\.lock") as caught:
        read_project(churn)
    assert "pip freeze" in caught.value.hint

    with pytest.raises(ConfigError, match="is no folder"):
        read_project(churn / "model.py")


@pytest.mark.parametrize("target", ["/etc/hostname", "../elsewhere.py", "nothing"])
def test_a_link_that_leads_out_is_refused(churn: Path, target: str) -> None:
    (churn.parent / "elsewhere.py").write_text("pass\n")
    (churn / "link.py").symlink_to(target)

    with pytest.raises(ConfigError, match="a link that leads out"):
        read_project(churn)
