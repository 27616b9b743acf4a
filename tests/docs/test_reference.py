"""`docs/reference` is what the code says, and it says everything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shoal.core.settings import model_file_schema
from shoal.core.settings.control import ControlSettings
from shoal.core.settings.merlin_schema import (
    MerlinArtifact,
    MerlinComet,
    MerlinFile,
    MerlinGpu,
    MerlinModel,
    MerlinScaling,
)
from shoal.core.settings.node import CardSettings, NodeSettings, PoolSettings
from shoal.core.settings.outgoing import OutgoingSettings
from shoal.core.settings.services import service_file_schema
from shoal.serving.adapters.catalog import RUNTIMES
from shoal.serving.gateway.problems import OUTCOMES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"


def test_the_reference_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "tools/make_reference.py", "--check"]
    seen = subprocess.run(command, capture_output=True, text=True)
    assert seen.returncode == 0, f"{seen.stderr}\nmake reference"


def test_the_page_of_model_yaml_names_every_field() -> None:
    schema = model_file_schema()
    kinds = [schema, *schema["$defs"].values()]
    page = (REFERENCE / "model-yaml.md").read_text()
    assert [name for kind in kinds for name in kind["properties"] if f"| `{name}` |" not in page] == []


def test_the_page_of_service_yaml_names_every_field() -> None:
    schema = service_file_schema()
    kinds = [schema, *(kind for name, kind in schema["$defs"].items() if name != "BatchingFields")]
    page = (REFERENCE / "service-yaml.md").read_text()
    assert [name for kind in kinds for name in kind["properties"] if f"| `{name}` |" not in page] == []
    merlin = (MerlinFile, MerlinComet, MerlinModel, MerlinArtifact, MerlinGpu, MerlinScaling)
    assert [name for kind in merlin for name in kind.model_fields if not re.search(rf"\b{name}[`.]", page)] == []


def test_the_page_of_settings_names_every_field_and_its_variable() -> None:
    page = (REFERENCE / "settings.md").read_text()
    mappings = {"environments", "pools", "devices", "outgoing", "auth", "tenants"}
    names = {*NodeSettings.model_fields} - {"limits", *mappings}
    limits = NodeSettings().wire_limits.__slots__
    nested = {*PoolSettings.model_fields, *CardSettings.model_fields, *OutgoingSettings.model_fields, *mappings}
    assert [name for name in names if f"`SHOAL_{name.upper()}`" not in page] == []
    assert [name for name in nested if f"| `{name}` |" not in page] == []
    assert [name for name in limits if f"`SHOAL_LIMITS__{name.upper()}`" not in page] == []


def test_the_page_of_control_names_every_field() -> None:
    page = (REFERENCE / "control-settings.md").read_text()
    assert [name for name in ControlSettings.model_fields if f"| `{name}` |" not in page] == []


def test_the_page_of_metrics_names_those_of_pools_and_of_the_cache() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    wanted = ("shoal_pool_reclaimed_bytes_total", "shoal_cache_requests_total", "shoal_unserved_total")
    assert [name for name in wanted if f"| `{name}` |" not in page] == []


def test_every_error_and_runtime_has_its_line() -> None:
    errors, runtimes = (REFERENCE / "errors.md").read_text(), (REFERENCE / "runtimes.md").read_text()
    assert [code for code in OUTCOMES if f"| `{code}` |" not in errors] == []
    assert [name for name in RUNTIMES if f"## {name}\n" not in runtimes] == []


@pytest.mark.parametrize(
    "name", ["model.schema.json", "node.schema.json", "control.schema.json", "service.schema.json"]
)
def test_each_field_of_a_schema_has_a_meaning(name: str) -> None:
    schema = json.loads((REFERENCE / name).read_text())
    kinds = [schema, *schema.get("$defs", {}).values()]
    assert [field for kind in kinds for field, each in kind["properties"].items() if "description" not in each] == []


def test_the_example_of_the_settings_page_is_valid() -> None:
    text = (REFERENCE / "settings.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert NodeSettings.model_validate(yaml.safe_load(text)).port == 9000
