"""One address to one staging folder: parse, ask the policy, fetch; what is left behind after a failure is nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from shoal.control.artifacts.disk import telling
from shoal.control.sources.addresses import BucketSource, FolderSource, MlflowSource, Source, parse_address
from shoal.control.sources.mlflow.importing import fetch_mlflow
from shoal.control.sources.mlflow.records import Known
from shoal.control.sources.mlflow.server import Tracking
from shoal.control.sources.plain import fetch_plain
from shoal.control.sources.policy import SourcePolicy
from shoal.control.sources.staging import Staging
from shoal.core.errors import NotFound
from shoal.core.registry import Lineage, Tags


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought in.

    Attributes:
        folder: the staging folder, with plain files only.
        source: the address, in the one form that it has.
        model: the name it has there, or could have here.
        aliases: labels of that version at its source; suggestions, nothing is done with them.
        description, tags, lineage: what the source knows of it.
    """

    folder: Path
    source: str
    model: str = ""
    aliases: tuple[str, ...] = ()
    description: str = ""
    tags: Tags = {}
    lineage: Lineage = Lineage()


def fetch_source(
    address: str,
    folder: Path,
    *,
    allow: SourcePolicy,
    tracking: Tracking | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Bring the files of an address into a new folder.

    Args:
        folder: must not exist yet; it is removed again when this fails.
        tracking: the MLflow server, for ``mlflow://``.
        clock: monotonic seconds.

    Raises:
        ShoalError: the address is wrong or not allowed, or the source fails or is over a budget.
    """
    source = parse_address(address)
    allow.check(source)
    with telling("the staging folder"):
        folder.mkdir(parents=True)
    try:
        known = _fetch(source, allow, Staging(folder, allow, clock), tracking)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Fetched(
        folder=folder,
        source=str(source),
        model=known.model,
        aliases=known.aliases,
        description=known.description,
        tags=known.tags,
        lineage=known.lineage,
    )


def _fetch(source: Source, allow: SourcePolicy, staging: Staging, tracking: Tracking | None) -> Known:
    if isinstance(source, MlflowSource):
        known = fetch_mlflow(source, allow, staging, tracking)
    else:
        fetch_plain(source, allow, staging)
        known = Known(model=_name_of(source))
    if staging.files == 0:
        raise NotFound(f"there are no files at {source}", hint="hidden files are left out", field="source")
    return known


def _name_of(source: FolderSource | BucketSource) -> str:
    if isinstance(source, FolderSource):
        return Path(source.path).stem
    return (source.prefix or source.bucket).rpartition("/")[2]
