"""Settings of the control process: where its state lives, where it listens, what it lets in.

Control needs no settings: everything lies in one folder, its home. Values come, the later over the earlier, from a
file, from ``SHOAL_CONTROL_...`` in the environment (``SHOAL_CONTROL_PORT=9001``; the home is ``SHOAL_HOME``) and from
the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shoal.core.settings import safety
from shoal.core.settings.auth import Certificates, IssuerSettings
from shoal.core.settings.node import is_loopback
from shoal.core.settings.processes import read_file, validated
from shoal.core.settings.quotas import QuotaSettings
from shoal.core.settings.safety import Finding
from shoal.core.tls import ClientRule, TlsFiles, files_of

AuthMode = Literal["auto", "none", "keys"]
PREFIX = "SHOAL_CONTROL_"
HOME_VARIABLE = "SHOAL_HOME"
DEFAULT_HOME = Path("~/.shoal")
GIB = 1024**3


class ControlSettings(BaseModel):
    """All settings of the control process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(DEFAULT_HOME, description="Folder of the registry, the artifacts and the lock of this control.")
    registry: str | None = Field(
        None, description="Database of the registry, such as `postgresql://user@db/shoal`; SQLite in the home if empty."
    )
    artifacts: str | None = Field(
        None, description="Store of the artifacts, such as `s3://bucket/prefix`; a folder in the home if empty."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with `auth: keys` and TLS.")
    port: int = Field(8081, ge=0, le=65535, description="Control port; 0 takes a free one.")
    tls_cert: Path | None = Field(None, description="PEM file with the certificate chain; turns TLS on.")
    tls_key: Path | None = Field(None, description="PEM file with the private key, for its owner's eyes only.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities whose certificates clients must show (mutual TLS)."
    )
    tls_clients: ClientRule = Field(
        "required", description="Whether clients must show a certificate, with `tls_client_ca`; else they may."
    )
    names: tuple[str, ...] = Field(
        (), description="Names besides this machine's loopback names by which a proxy in front may call it."
    )
    auth: AuthMode = Field(
        "auto",
        description="Who needs an API key: `auto`, everybody as soon as there is one; `keys`, always; `none`, nobody.",
    )
    issuers: tuple[IssuerSettings, ...] = Field(
        (), description="OpenID Connect issuers whose tokens are taken, too; then `auto` is `keys`."
    )
    certificates: Certificates = Field(
        {},
        description="What names in clients' certificates grant, with `tls_client_ca`; then `auto` is `keys`. A key or "
        "a token that is sent, too, counts instead.",
    )
    trust: bool = Field(
        False,
        description="Let versions in whose format can carry code (pickle, Python, MLflow), where no key decides.",
    )
    services: Path | None = Field(
        None, description="Folder of service files that are put at start and followed as they change."
    )
    grace_seconds: float = Field(10.0, ge=0, description="Time to finish what was accepted when control is stopped.")
    uploads: int = Field(8, ge=1, le=256, description="Uploads and archives that are taken in at the same time.")
    upload_bytes: int = Field(64 * GIB, gt=0, description="The largest file or archive that may be sent.")
    upload_idle_seconds: float = Field(
        30.0, gt=0, description="How long an upload may send nothing before it is given up."
    )
    quotas: dict[str, QuotaSettings] = Field(
        {}, description="What namespaces may hold, by name; `*` is for all others. By default any amount."
    )
    waiters: int = Field(1000, ge=1, description="Nodes that may wait for changes at the same time.")
    keep_deleted_seconds: float = Field(
        7 * 86400.0, ge=0, description="How long deleted versions are kept before `gc` forgets them for good."
    )
    gc_grace_seconds: float = Field(
        86400.0, ge=0, description="How old an unused blob must be before `gc` takes it; covers uploads under way."
    )

    @property
    def folder(self) -> Path:
        """The home with `~` read."""
        return self.home.expanduser().absolute()

    @property
    def asking(self) -> AuthMode:
        """Who needs a credential: `auto` is settled where somebody is let in whom the registry does not know."""
        return "keys" if self.auth == "auto" and (self.issuers or self.certificates) else self.auth

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS, or None for clear text.

        Raises:
            ConfigError: a key without a certificate.
        """
        return files_of(self.tls_cert, self.tls_key, self.tls_client_ca, self.tls_clients)

    @property
    def registry_url(self) -> str:
        """The registry's database, said or by default."""
        return self.registry or f"sqlite:///{self.folder / 'registry.db'}"

    @property
    def artifacts_url(self) -> str:
        """The artifact store, said or by default."""
        return self.artifacts or str(self.folder / "artifacts")


def load_control_settings(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object]
) -> ControlSettings:
    """Settings from file, environment and command line.

    Raises:
        ConfigError: a file that cannot be read, or fields that are wrong: all of them are named.
    """
    settings, findings = judged_control_settings(path, environment, overrides)
    safety.enforce(findings)
    return settings


def judged_control_settings(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[ControlSettings, list[Finding]]:
    """The settings, and whether it is safe to start with them.

    Raises:
        ConfigError: a file that cannot be read, or fields that are wrong.
    """
    said = read_file(path)
    values = {**said, **_from_environment(environment)}
    values.update({name: value for name, value in overrides.items() if value is not None})
    settings = validated(ControlSettings, values, "control-settings.md")
    findings = [
        _bind(settings),
        safety.certificates("certificates", bool(settings.certificates), settings.tls_client_ca is not None),
        safety.private_key(settings.tls_key or settings.tls_cert),
        safety.settings_file(path, said),
        safety.arguments(overrides),
        *safety.surroundings(settings.folder),
    ]
    return settings, findings


def home_of(environment: Mapping[str, str]) -> Path:
    """The home that the environment names, or the default."""
    return Path(environment.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute()


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Fields by their variables; lists are separated by commas."""
    values: dict[str, Any] = {}
    for field in ControlSettings.model_fields:
        variable = HOME_VARIABLE if field == "home" else PREFIX + field.upper()
        if text := environment.get(variable):
            values[field] = tuple(text.split(",")) if field == "names" else text
    return values


def _bind(settings: ControlSettings) -> Finding:
    if is_loopback(settings.host):
        return Finding("control port", "ok", f"listens on {settings.host}, which only this machine reaches")
    if settings.auth == "keys" and settings.tls_cert is not None:
        return Finding("control port", "ok", f"listens on {settings.host}, asks for keys and speaks TLS")
    if settings.auth == "keys":
        told = f"refusing to listen on {settings.host}: keys would go over the network in clear text"
        hint = "give it a certificate: `tls_cert` and `tls_key`"
    else:
        told = f"refusing to listen on {settings.host}: not everybody is asked for a key on the control port"
        hint = "set `auth: keys`, `tls_cert` and `tls_key`; or listen on 127.0.0.1 behind a proxy that authenticates"
    return Finding("control port", "fail", told, hint, "host")
