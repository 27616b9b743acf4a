"""The files of models: blobs named by their content, what brings them in, and the machine's cache of them.

intake/      a file, folder or archive of a stranger -> a staged folder and its manifest, or a refusal
storing      a staged folder -> blobs, and a manifest -> files
blobs        the ports; folder, objects (S3, GCS, Azure), http_source: what is behind them
cache        the machine's disk cache, from which models are loaded
gc           removes blobs that nothing refers to
"""

from shoal.control.artifacts.blobs import Blob, BlobSource, BlobStore, Stored
from shoal.control.artifacts.cache import ArtifactCache, Lease
from shoal.control.artifacts.gc import Collected, collect
from shoal.control.artifacts.http_source import HttpSource
from shoal.control.artifacts.opening import open_store
from shoal.control.artifacts.storing import retrieve, store

__all__ = [
    "ArtifactCache",
    "Blob",
    "BlobSource",
    "BlobStore",
    "Collected",
    "HttpSource",
    "Lease",
    "Stored",
    "collect",
    "open_store",
    "retrieve",
    "store",
]
