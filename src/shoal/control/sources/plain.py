"""Files that are where an address says: of this machine, or in a bucket. Both are asked of the policy here."""

from __future__ import annotations

from shoal.control.sources.addresses import BucketSource, FolderSource
from shoal.control.sources.folders import fetch_folder
from shoal.control.sources.policy import SourcePolicy
from shoal.control.sources.staging import Staging
from shoal.core.errors import ConfigError


def fetch_plain(source: FolderSource | BucketSource, policy: SourcePolicy, staging: Staging) -> None:
    """Copy what lies at an address to the staging folder.

    Raises:
        ConfigError: the library for buckets is not installed.
        ShoalError: not allowed, not there, not readable, refused, or over a budget.
    """
    policy.check(source)
    if isinstance(source, FolderSource):
        fetch_folder(source, policy, staging)
        return
    try:
        from shoal.control.sources.buckets import fetch_bucket  # its library is an extra
    except ImportError as error:
        told = f"buckets need {error.name or 'obstore'}, which is not installed"
        raise ConfigError(told, hint="pip install 'shoal[control]'") from error
    fetch_bucket(source, policy, staging)
