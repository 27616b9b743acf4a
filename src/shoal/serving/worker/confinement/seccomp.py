"""A filter of system calls: some are denied to every worker, some looked at. What a filter says is pure; `install` asks
the kernel to go by it.

    denied calls       EPERM: tracing, mounting, namespaces, key rings, kernel modules, io_uring, leaving the session
    clone              EPERM with any flag that makes a namespace; else allowed: threads and processes
    clone3             ENOSYS: its flags are in memory, where a filter cannot look; libraries fall back to clone
    socket             EACCES, but for the families that the worker may use
    socketpair         EACCES, but for Unix ones: event loops need them
    another processor's way of calling: EPERM, as its numbers mean something else

Leaving the session is denied so that whatever a worker has started can be ended with it.

Sources: seccomp(2), the kernel's `Documentation/userspace-api/seccomp_filter.rst`, `linux/bpf_common.h`.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import NamedTuple

from shoal.serving.worker.confinement import kernel
from shoal.serving.worker.confinement.numbers import MACHINES, Machine

LOAD = 0x20
JUMP_EQUAL = 0x15
JUMP_AT_LEAST = 0x35
JUMP_ANY_BIT = 0x45
RETURN = 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Where a call's number, its way of calling, and the low half of its first argument are in what a filter looks at."""

ALLOW = 0x7FFF0000
ERROR = 0x00050000
NEW_NAMESPACES = 0x7E020000
"""Flags of clone(2): CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

SET_FILTER = 1
EVERY_THREAD, KEEP_SPECULATION = 1, 4
"""The second leaves the processor as fast as it was: a filter must not cost models their speed."""

NETWORK = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16)
"""Families of sockets for a worker that may use the network; 16 is netlink, by which addresses are looked up."""


class Instruction(NamedTuple):
    """One step of a filter: what to do, where to go on if it holds and if not, with which number."""

    code: int
    yes: int
    no: int
    value: int


def program(machine: Machine, families: tuple[int, ...]) -> list[Instruction]:
    """The filter.

    Args:
        machine: how calls are numbered.
        families: of sockets that may be made.
    """
    steps = [
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(JUMP_EQUAL, 1, 0, machine.audit),
        _error(errno.EPERM),
        Instruction(LOAD, 0, 0, NUMBER),
    ]
    if machine.foreign is not None:
        steps += [Instruction(JUMP_AT_LEAST, 0, 1, machine.foreign), _error(errno.EPERM)]
    for number in sorted(machine.denied.values()):
        steps += _when(number, [_error(errno.EPERM)])
    steps += _when(machine.clone3, [_error(errno.ENOSYS)])
    first = Instruction(LOAD, 0, 0, FIRST_ARGUMENT)
    steps += _when(
        machine.clone, [first, Instruction(JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES), _error(errno.EPERM), _ALLOWED]
    )
    steps += _when(machine.socket, [first, *_one_of(families)])
    steps += _when(machine.socketpair, [first, *_one_of((socket.AF_UNIX,))])
    return [*steps, _ALLOWED]


_ALLOWED = Instruction(RETURN, 0, 0, ALLOW)


def _error(number: int) -> Instruction:
    return Instruction(RETURN, 0, 0, ERROR | number)


def _when(number: int, steps: list[Instruction]) -> list[Instruction]:
    """Steps for one call only; each way through them must end in an answer."""
    return [Instruction(JUMP_EQUAL, 0, len(steps), number), *steps]


def _one_of(families: tuple[int, ...]) -> list[Instruction]:
    allowed = [step for each in families for step in (Instruction(JUMP_EQUAL, 0, 1, each), _ALLOWED)]
    return [*allowed, _error(errno.EACCES)]


def install(families: tuple[int, ...]) -> None:
    """Have this process, and all that it starts, go by the filter. `no_new_privs` must be set.

    Raises:
        OSError: there is no filter for this machine, or the kernel takes none.
    """
    machine = MACHINES.get(kernel.MACHINE)
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter for {kernel.MACHINE}")
    steps = program(machine, families)
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    given = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(buffer)))
    try:
        kernel.call(machine.seccomp, SET_FILTER, EVERY_THREAD | KEEP_SPECULATION, given)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.call(machine.seccomp, SET_FILTER, EVERY_THREAD, given)


def available() -> bool:
    """Whether the kernel takes filters, without installing one."""
    machine = MACHINES.get(kernel.MACHINE)
    if machine is None:
        return False
    try:
        kernel.call(machine.seccomp, SET_FILTER, EVERY_THREAD, None)
    except OSError as error:
        return error.errno == errno.EFAULT
    return True
