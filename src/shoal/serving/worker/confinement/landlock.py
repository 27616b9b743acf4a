"""Files by permission: of all there are, a process may open those below the paths that it has named, and no other.

What a path allows holds for the file or folder that is there now, and all below it. What is opened already stays open.
Looking at names and sizes is not restricted, nor is anything that the kernel's version does not know of yet: `Handled`
says what this one does.

Source: the kernel's `Documentation/userspace-api/landlock.rst`, and `linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import NamedTuple

from shoal.serving.worker.confinement import kernel

CREATE, ADD, RESTRICT = 444, 445, 446
VERSION = 1
BELOW_PATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, REMOVE_FOLDER, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHARACTER, MAKE_FOLDER, MAKE_FILE, MAKE_SOCKET, MAKE_PIPE, MAKE_BLOCK, MAKE_LINK = (1 << n for n in range(6, 13))
REFER, TRUNCATE, DEVICE = 1 << 13, 1 << 14, 1 << 15

OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE
"""What can be allowed of something that is no folder."""
READ = READ_FILE | READ_FOLDER
RUN = READ | EXECUTE
USE = READ | WRITE_FILE | DEVICE
"""A device."""
CHANGE = READ | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_FILE
"""Files of a folder that has no folders."""
OWN = CHANGE | REMOVE_FOLDER | MAKE_FOLDER | MAKE_SOCKET | MAKE_PIPE | MAKE_LINK | REFER
"""All that one does in a folder of one's own; but nothing in there can be run as a program."""

ALL_TCP = 3
ALL_SCOPES = 3
"""Abstract Unix sockets, and signals."""


class Handled(NamedTuple):
    """What a version of Landlock can restrict.

    Attributes:
        files: rights of files.
        tcp: whether TCP ports can be.
        signals: whether signals can be, to processes outside.
    """

    files: int
    tcp: bool
    signals: bool


class Allowed(NamedTuple):
    """A file or folder, and what may be done with it and below it."""

    path: str
    rights: int


def version() -> int:
    """The version of the kernel's Landlock; 0 if it has none, or does not let us use it."""
    try:
        return kernel.call(CREATE, 0, 0, VERSION)
    except OSError:
        return 0


def handled(version: int) -> Handled:
    """What can be restricted. Pure."""
    files = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, DEVICE)):
        files |= right if version >= since else 0
    return Handled(files, tcp=version >= 4, signals=version >= 6)


def ruleset(handled: Handled, allowed: Iterable[Allowed], *, tcp: bool) -> int:
    """The descriptor of a set of rules; what is not there is not allowed either, and no error.

    Args:
        handled: what is restricted.
        allowed: what is allowed of it.
        tcp: whether TCP is not to be restricted.

    Raises:
        OSError: the kernel takes none.
    """
    scopes = ALL_SCOPES if handled.signals else 0
    given = struct.pack("=3Q", handled.files, ALL_TCP if handled.tcp and not tcp else 0, scopes)
    size = 24 if handled.signals else 16 if handled.tcp else 8
    descriptor = kernel.call(CREATE, ctypes.create_string_buffer(given), size, 0)
    try:
        for each in allowed:
            _allow(descriptor, each, handled.files)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _allow(descriptor: int, allowed: Allowed, handled: int) -> None:
    try:
        parent = os.open(allowed.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = allowed.rights & handled
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= OF_FILES
        kernel.call(ADD, descriptor, BELOW_PATH, ctypes.create_string_buffer(struct.pack("=Qi", rights, parent)), 0)
    finally:
        os.close(parent)


def restrict(descriptor: int) -> None:
    """Go by the rules from now on, with all that this thread starts. `no_new_privs` must be set.

    Raises:
        OSError: the kernel does not.
    """
    kernel.call(RESTRICT, descriptor, 0)
