"""One version from an MLflow registry to the staging folder: which version, which files, where it comes from."""

from __future__ import annotations

import msgspec

from shoal.control.sources.addresses import MlflowSource
from shoal.control.sources.mlflow.artifacts import Proxied, fetch_proxied, place_of
from shoal.control.sources.mlflow.records import Known, ModelVersion, Run, known_of
from shoal.control.sources.mlflow.server import Server, Tracking
from shoal.control.sources.plain import fetch_plain
from shoal.control.sources.policy import SourcePolicy
from shoal.control.sources.staging import Staging
from shoal.core.errors import ConfigError, InvalidInput, NotFound, Unavailable

_API = "/api/2.0/mlflow"


class _Versioned(msgspec.Struct, frozen=True):
    model_version: ModelVersion


class _Located(msgspec.Struct, frozen=True):
    artifact_uri: str = ""


class _Ran(msgspec.Struct, frozen=True):
    run: Run


def fetch_mlflow(source: MlflowSource, policy: SourcePolicy, staging: Staging, tracking: Tracking | None) -> Known:
    """Copy the files of a version to the staging folder; what MLflow knows of it is returned.

    Raises:
        ConfigError: no server is set.
        ShoalError: no such version, it is not ready, its files are not allowed, or the server fails.
    """
    if tracking is None:
        raise ConfigError("no MLflow server is set", hint="set MLFLOW_TRACKING_URI", field="tracking")
    server = Server(tracking, staging.check_time)
    version = _version(source, server)
    if version.status != "READY":
        raise Unavailable(f"{source} is not ready: {version.status[:40]!a}", hint="register it again, or wait")
    _fetch_files(version, server, policy, staging)
    return known_of(version, _run(version, server))


def _version(source: MlflowSource, server: Server) -> ModelVersion:
    if source.alias:
        return _aliased(source, server)
    query = {"name": source.model, "version": source.version}
    return server.ask(f"{_API}/model-versions/get", query, _Versioned).model_version


def _aliased(source: MlflowSource, server: Server) -> ModelVersion:
    """The version of an alias. MLflow says "bad request" of one that it does not know; what we ask is well-formed."""
    query = {"name": source.model, "alias": source.alias}
    try:
        return server.ask(f"{_API}/registered-models/alias", query, _Versioned).model_version
    except InvalidInput as error:
        raise NotFound(error.message, hint=error.hint, field=error.field) from error


def _fetch_files(version: ModelVersion, server: Server, policy: SourcePolicy, staging: Staging) -> None:
    query = {"name": version.name, "version": version.version}
    uri = server.ask(f"{_API}/model-versions/get-download-uri", query, _Located).artifact_uri
    place = place_of(uri, server.authority)
    if isinstance(place, Proxied):
        fetch_proxied(place, server, staging)
    else:
        fetch_plain(place, policy, staging)


def _run(version: ModelVersion, server: Server) -> Run:
    """The run that made a version; an empty one when it was deleted or never was."""
    if not version.run_id:
        return Run()
    try:
        return server.ask(f"{_API}/runs/get", {"run_id": version.run_id}, _Ran).run
    except NotFound:
        return Run()
