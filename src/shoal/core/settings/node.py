"""`shoal.yaml`: the settings of a node.

A node needs no settings file; each field has a default that works. Values come, the later over the earlier, from the
file, from `SHOAL_...` in the environment (``SHOAL_PORT=9000``, ``SHOAL_LIMITS__BODY_BYTES=1048576``) and from the
command line.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from shoal.core.limits import WireLimits
from shoal.core.settings import quantities, safety
from shoal.core.settings.auth import AuthSettings
from shoal.core.settings.confinement import ConfinementSettings
from shoal.core.settings.outgoing import OutgoingSettings
from shoal.core.settings.processes import read_file, validated
from shoal.core.settings.safety import Finding
from shoal.core.settings.split import SplitSettings
from shoal.core.settings.tenants import TenantSettings
from shoal.core.tls import ClientRule

PREFIX = "SHOAL_"


def _limits_model() -> type[BaseModel]:
    """The wire limits as a pydantic model, one positive field each."""
    fields: dict[str, Any] = {
        field.name: (type(field.default), Field(default=field.default, gt=0))
        for field in dataclasses.fields(WireLimits)
    }
    return create_model("LimitsSettings", __config__=ConfigDict(extra="forbid", frozen=True), **fields)


LimitsSettings = _limits_model()
GIB = 1024**3
Size = Annotated[
    int,
    BeforeValidator(quantities.size),
    WithJsonSchema({"type": ["integer", "string"], "description": "bytes, or a size such as 512Mi"}),
]


class PoolSettings(BaseModel):
    """A shared pool: worker processes that hold many models each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int | None = Field(None, ge=1, le=512, description="Its worker processes; by default one for each core.")
    memory: Size | None = Field(
        None, gt=0, description="Memory that the models of one worker may take, such as `2Gi`; by default a share."
    )
    limit: Size | None = Field(
        None,
        gt=0,
        description="Memory of one worker that the kernel enforces; by default a quarter more than `memory`, and 1Gi.",
    )
    max_models: int = Field(1000, ge=1, description="Models that one worker holds at most.")
    idle_seconds: float | None = Field(
        3600.0, gt=0, description="How long a model stays in memory without a request; null: for ever."
    )
    models_per_tenant: int | None = Field(
        None, ge=1, description="Workers that one namespace's models are spread over (shuffle sharding); null: all."
    )
    preload: tuple[str, ...] = Field(
        (), description="Runtimes whose libraries a worker imports when it starts, such as `[sklearn, onnx]`."
    )
    network: bool = Field(False, description="Whether its workers, and so all models in them, may use the network.")


class CardSettings(BaseModel):
    """An accelerator of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="As its driver names it, such as `0`.")
    memory: Size = Field(gt=0, description="All its memory, such as `24Gi`.")
    kind: str = Field("gpu", description="What services ask for: `gpu`, or a name of your own.")
    model: str = Field("", description="Its type, such as `nvidia-a30`.")


def default_workers() -> int:
    """A worker for each core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def default_memory(workers: int) -> int:
    """Half of the machine's memory, shared by so many workers."""
    return max(256 * 1024**2, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // workers)


class NodeSettings(SplitSettings):
    """All settings of a node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs authentication.")
    port: int = Field(8080, ge=0, le=65535, description="Data port; 0 takes a free one.")
    workers: int | None = Field(None, ge=1, le=512, description="Worker processes per model, over its `model.yaml`.")
    trust: bool = Field(False, description="Allow artifacts that can run code when loaded (pickle and kin).")
    watch: bool = Field(False, description="Load, replace and remove models as their files change.")
    grace_seconds: float = Field(30.0, ge=0, description="Time to finish what was accepted when the node is stopped.")
    tls_cert: Path | None = Field(None, description="PEM file with the certificate chain; turns TLS on.")
    tls_key: Path | None = Field(None, description="PEM file with the private key, for its owner's eyes only.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities whose certificates clients must show (mutual TLS)."
    )
    tls_clients: ClientRule = Field(
        "required", description="Whether clients must show a certificate, with `tls_client_ca`; else they may."
    )
    auth: AuthSettings = Field(AuthSettings.model_validate({}), description="Who is let in.")
    allow_remote: bool = Field(
        False, description="Listen beyond loopback although nobody is authenticated, or keys travel in clear text."
    )
    domain: str = Field(
        "",
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$|^$",
        max_length=200,
        description="Domain whose sub-domains are services, such as `models.example.org`: `iris.models.example.org`, "
        "or `iris.NAMESPACE.models.example.org`.",
    )
    rest: bool = Field(True, description="Answer REST requests; without it only health, metrics and gRPC are answered.")
    name: str = Field(
        default_factory=socket.gethostname, min_length=1, max_length=128, description="What control calls this node."
    )
    home: Path = Field(Path("~/.shoal"), description="Folder for what a node keeps: routes, cache, environments.")
    control: str | None = Field(
        None, description="URL of the control that says what is served; without it and paths, the node starts its own."
    )
    control_key_file: Path | None = Field(
        None, description="File with the API key for that control, for its owner's eyes only; or SHOAL_CONTROL_KEY."
    )
    control_port: int = Field(8081, ge=0, le=65535, description="Port of the control that the node starts.")
    artifacts: str | None = Field(
        None, description="Store that files are fetched from directly, such as `s3://bucket`; by default from control."
    )
    cache: Size = Field(20 * GIB, gt=0, description="Bytes of model files that are kept on this machine.")
    answers: Size = Field(256 * 1024**2, gt=0, description="Bytes of the prediction caches of all services together.")
    environments: tuple[str, ...] = Field((), description="Environments whose services run here; empty: all of them.")
    pools: dict[str, PoolSettings] = Field(
        {"shared": PoolSettings.model_validate({})},
        description="Shared pools by name; services ask for `shared` unless they say more.",
    )
    devices: tuple[CardSettings, ...] = Field((), description="Accelerators that services may ask for.")
    confinement: ConfinementSettings = Field(
        ConfinementSettings.model_validate({}), description="What the workers may do."
    )
    outgoing: OutgoingSettings = Field(
        OutgoingSettings.model_validate({}), description="What models may fetch from addresses that callers name."
    )
    tenants: dict[str, TenantSettings] = Field(
        {}, description="What tenants may ask for, by name; `default` is for all others, and for nobody in particular."
    )
    memory: Size | None = Field(
        None,
        gt=0,
        description="Memory that the process and its workers may take, such as `8Gi`: near it, it sheds in stages. By"
        " default that of its cgroup, where it has a limit.",
    )
    waiting: Size = Field(
        GIB, gt=0, description="Bytes of requests that may wait for workers, of all models of a process together."
    )
    limits: LimitsSettings = Field(LimitsSettings(), description="What one client may cost.")  # type: ignore[valid-type]

    @property
    def folder(self) -> Path:
        """The home with `~` read."""
        return self.home.expanduser().absolute()

    @property
    def worker_variables(self) -> dict[str, str]:
        """Environment variables of all workers of this node."""
        return self.outgoing.variables((self.port, self.control_port))

    def url(self, port: int) -> str:
        """Where clients find a data port of this node."""
        scheme = "https" if self.tls_cert else "http"
        return f"{scheme}://[{self.host}]:{port}" if ":" in self.host else f"{scheme}://{self.host}:{port}"

    @property
    def wire_limits(self) -> WireLimits:
        return WireLimits(**self.limits.model_dump())  # type: ignore[attr-defined]


def load_node_settings(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object]
) -> NodeSettings:
    """Settings from file, environment and command line.

    Raises:
        ConfigError: a file that cannot be read, or fields that are wrong: all of them are named.
    """
    settings, findings = judged_node_settings(path, environment, overrides)
    safety.enforce(findings)
    return settings


def judged_node_settings(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[NodeSettings, list[Finding]]:
    """The settings, and whether it is safe to start with them.

    Raises:
        ConfigError: a file that cannot be read, or fields that are wrong.
    """
    said = read_file(path)
    values = _over(said, _from_environment(environment))
    values.update({name: value for name, value in overrides.items() if value is not None})
    settings = validated(NodeSettings, values, "settings.md")
    findings = [
        _bind(settings),
        safety.certificates("auth.certificates", bool(settings.auth.certificates), settings.tls_client_ca is not None),
        safety.private_key(settings.tls_key or settings.tls_cert),
        safety.settings_file(path, said),
        safety.arguments(overrides),
        *safety.surroundings(settings.folder),
    ]
    return settings, findings


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """The values of both; of `limits`, one that is said above leaves the others of below as they are."""
    merged = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            merged[name] = {**below[name], **above[name]}
    return merged


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """`SHOAL_A__B=1` is `{"a": {"b": "1"}}`; names that are no settings belong to others (``SHOAL_URL``)."""
    values: dict[str, Any] = {}
    for name, text in environment.items():
        first, *rest = name.removeprefix(PREFIX).lower().split("__")
        if not name.startswith(PREFIX) or first not in NodeSettings.model_fields:
            continue
        if rest:
            values.setdefault(first, {})["__".join(rest)] = text
        else:
            values[first] = text
    return values


def _bind(settings: NodeSettings) -> Finding:
    """Nobody but this machine reaches a port where nobody is authenticated, unless somebody has said so."""
    if is_loopback(settings.host):
        return Finding("data port", "ok", f"listens on {settings.host}, which only this machine reaches")
    if settings.auth.required:
        return _clear_text(settings)
    if settings.allow_remote:
        told = f"listens on {settings.host} although nobody is authenticated there"
        return Finding("data port", "warn", told, "let only those reach it who may ask every model")
    told = f"refusing to listen on {settings.host}: nobody is authenticated there"
    hint = "ask for keys (`auth: {mode: keys}`), listen on 127.0.0.1 behind a proxy that does, or say --allow-remote"
    return Finding("data port", "fail", told, hint, "host")


def _clear_text(settings: NodeSettings) -> Finding:
    """Whoever can listen on the way has every key that passes, unless there is TLS."""
    if settings.tls_cert:
        return Finding("data port", "ok", f"listens on {settings.host} with TLS, and asks for keys")
    if settings.allow_remote:
        told = f"listens on {settings.host}, and keys travel in clear text"
        return Finding("data port", "warn", told, "let it be reached through TLS only")
    told = f"refusing to listen on {settings.host}: keys would travel in clear text"
    hint = "give --tls-cert and --tls-key, or say --allow-remote where something before this speaks TLS"
    return Finding("data port", "fail", told, hint, "host")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
