"""Where a model can be fetched from, to be pushed: a folder or file, a prefix of a bucket, an MLflow registry.

`fetch_source` brings the files of one address into a staging folder, under a `SourcePolicy`, with what the source knows
of them. It registers nothing: the folder goes through the intake like any other.

    addresses   one pure parser for all addresses
    policy      what may be fetched from where, and how much
    staging     files on their way in, with budgets
    plain       files at an address: folders, buckets
    mlflow      versions of an MLflow registry
    fetching    one address to one staging folder
"""

from __future__ import annotations

from shoal.control.sources.addresses import BucketSource, FolderSource, MlflowSource, Source, parse_address
from shoal.control.sources.fetching import Fetched, fetch_source
from shoal.control.sources.mlflow.server import Tracking, tracking_from
from shoal.control.sources.policy import SourcePolicy

__all__ = [
    "BucketSource",
    "Fetched",
    "FolderSource",
    "MlflowSource",
    "Source",
    "SourcePolicy",
    "Tracking",
    "fetch_source",
    "parse_address",
    "tracking_from",
]
