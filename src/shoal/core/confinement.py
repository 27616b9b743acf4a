"""What a worker may do: the node's rules, the plan that one worker is started with, and the names of the means.

The parent makes a `Plan` from its `Rules` (`serving.pool.confining`); the worker applies it to itself before it runs
any code of a model (`serving.worker.confinement`), and says what this machine did not let it apply.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["off", "basic", "strict"]
"""``off`` is for nodes: no rules are made then."""

MEANS = {
    "no_new_privileges": "no program that it starts has more rights than it has itself",
    "limits": "processes, open files and the size of a file are limited; no core dumps",
    "not_dumpable": "no other process of its user may look into its memory",
    "own_user": "a user of its own, whom no file of the node belongs to",
    "capabilities": "none of root's rights",
    "files": "of all files only those that it needs, to read; only its own folder to write (Landlock)",
    "signals": "no signals to processes that it has not started (Landlock)",
    "system_calls": "no tracing, mounting, namespaces, key rings, kernel modules and the like (seccomp)",
    "network": "no sockets, unless the model may use the network",
    "namespaces": "a network and shared memory of its own",
}
"""Every means by which a worker is confined, and what holds then."""

FOR_ROOT = frozenset({"own_user", "namespaces"})
"""Means that only a node started as root has; without them the others still hold."""

REQUIRED = frozenset(MEANS) - FOR_ROOT - {"capabilities"}
"""What level ``strict`` does not do without."""

NOT_CONFINED = 77
"""Exit code of a worker that ``strict`` did not let start."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the workers of a node are confined.

    Attributes:
        level: ``basic`` applies what can be had and tells of the rest; ``strict`` starts no worker without all of
            `REQUIRED`, and gives no shared memory.
        network: who may use the network: models that ask for it, all of them, or none.
        users: the first and the last of the user ids that workers get where the node is root; None: the node's own.
        readable: further files and folders that every worker may read.
        writable: further folders that every worker may write.
        processes: processes and threads that a worker may have.
        open_files: files that a worker may have open.
        file_bytes: bytes of the largest file that it may write.
    """

    level: Level = "basic"
    network: Literal["asked", "always", "never"] = "asked"
    users: tuple[int, int] | None = (60706, 61183)
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    processes: int = 512
    open_files: int = 4096
    file_bytes: int = 4 * 1024**3

    def grants_network(self, asked: bool | None) -> bool:
        """Whether a worker may use the network, if its model asks for it (True), says nothing (None), or must not."""
        if asked is False:
            return False
        return self.network == "always" or (asked is True and self.network == "asked")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is to apply to itself.

    Attributes:
        strict: do not start without all of `REQUIRED`.
        folder: the only folder that is its own to write: home and temporary files at once.
        readable: files and folders to read, beyond those of system and interpreter.
        writable: folders to write, beyond its own.
        network: whether it may use the network.
        user: its user and group id; None: as it was started.
        processes, open_files, file_bytes: see `Rules`.
    """

    folder: str
    strict: bool = False
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    network: bool = False
    user: int | None = None
    processes: int = 512
    open_files: int = 4096
    file_bytes: int = 4 * 1024**3


encode_plan = msgspec.json.Encoder().encode
decode_plan = msgspec.json.Decoder(Plan).decode
