"""A network and shared memory of one's own, which only root can have without more.

The network has nothing in it, not even a loopback that is up. Source: unshare(2).
"""

from __future__ import annotations

from shoal.serving.worker.confinement import kernel

NEW_IPC = 0x08000000
NEW_NETWORK = 0x40000000


def separate(*, network: bool) -> None:
    """Leave the node's namespaces.

    Args:
        network: whether the node's network is to be kept.

    Raises:
        OSError: the kernel does not.
    """
    kernel.unshare(NEW_IPC if network else NEW_IPC | NEW_NETWORK)
