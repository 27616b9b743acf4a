"""Workers on other machines than the proxy that batches for them.

A *host* (`shoal worker`) has the model's files, starts and watches worker processes, and runs batches for proxies. A
proxy has `RemoteWorkers` in the place of a pool: each of its batches goes to one of the hosts that a directory names.
Read on in `messages`, then `workers` (the proxy's end) and `host.guest` (the host's).
"""

from shoal.serving.remote.crew import Crew
from shoal.serving.remote.host.server import WorkerHost
from shoal.serving.remote.workers import RemoteWorkers

__all__ = ["Crew", "RemoteWorkers", "WorkerHost"]
