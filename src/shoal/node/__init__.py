"""The composition root: settings become a running node. The only place where the planes meet.

node        everything that every node has: the port, the application, metrics, start and stop
files       what is served of folders: `shoal serve DIR`
routed      what is served of a registry: `shoal serve`
preparing   a route's files and settings become a `ModelSpec`
hosts       a `ModelSpec` becomes workers of its own, or a seat in a shared pool
asking      questions to control, from the event loop
control     a control of the node's own, as a child process
apps        full-custom apps
running     the process: signals, exit code
"""

from shoal.node.node import Node
from shoal.node.running import run

__all__ = ["Node", "run"]
