"""The fields of Merlin's service file. What they are here is told in `merlin`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from shoal.core.settings.schema import Fields, Seconds, Variables, check_name
from shoal.core.settings.service_schema import Label, Memory, Processors


def _version(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("must be text: write it in quotes")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_stage(stages: list[str]) -> list[str]:
    if len(stages) > 1:
        raise ValueError("must hold one stage at most: a service follows one")
    return stages


Name = Annotated[str, AfterValidator(check_name)]
Version = Annotated[str, BeforeValidator(_version), Field(min_length=1, max_length=64)]
Stages = Annotated[list[Label], AfterValidator(_one_stage)]


class MerlinGpu(Fields):
    """Cards of each replica."""

    count: Annotated[int, Field(ge=0, le=64)]
    type: str = ""


class MerlinScaling(Fields):
    """Replicas by need."""

    min_pod_replicas: int
    max_pod_replicas: int
    gpu_utilization: float | None = None
    cpu_utilization: float | None = None


class _Fetched(Fields):
    workspace: Label | None = None
    version: Version | None = None
    stages: Stages = []
    dest_path: Annotated[str, Field(min_length=1)] | None = None


class MerlinModel(_Fetched):
    """A registered model."""

    model: Name

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model


class MerlinArtifact(_Fetched):
    """A registered artifact that is no model."""

    artifact: Name

    @property
    def name(self) -> str:
        """What it is called."""
        return self.artifact


class MerlinComet(Fields):
    """What comes from the registry."""

    environment: Label | None = None
    autodownload: bool | None = None
    models: Annotated[list[MerlinModel], Field(max_length=32)] = []


class MerlinFile(Fields):
    """A whole file."""

    merlin_project: str = ""
    service_name: Name
    serving_layer: Literal["mlserver", "triton", "kserve"] | None = None
    entrypoint: list[str] = []
    num_replicas: int | None = None
    cpu: Processors | None = None
    gpu: MerlinGpu | None = None
    memory: Memory | None = None
    port: int | None = None
    env_vars: Variables = {}
    auto_scaling: MerlinScaling | None = None
    artifacts: Annotated[list[MerlinArtifact], Field(max_length=32)] = []
    comet: MerlinComet = MerlinComet()
    timeout: Seconds | None = None
