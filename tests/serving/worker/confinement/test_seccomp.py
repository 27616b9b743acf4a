"""What the filter says, by an interpreter of filters; the kernel's answer is in `test_hostile`."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.worker.confinement import seccomp
from shoal.serving.worker.confinement.numbers import MACHINES, Machine

FAMILIES = {"nobody": (), "app": (socket.AF_UNIX,), "network": seccomp.NETWORK}
EPERM, EACCES, ENOSYS = (seccomp.ERROR | number for number in (errno.EPERM, errno.EACCES, errno.ENOSYS))


def run(steps: Sequence[seccomp.Instruction], number: int, audit: int, first: int) -> int:
    """What the kernel makes of it; a jump out of the filter is an error."""
    seen = {seccomp.NUMBER: number, seccomp.ARCHITECTURE: audit, seccomp.FIRST_ARGUMENT: first & 0xFFFFFFFF}
    at, loaded = 0, 0
    while True:
        step = steps[at]
        at += 1
        if step.code == seccomp.RETURN:
            return step.value
        if step.code == seccomp.LOAD:
            loaded = seen[step.value]
            continue
        holds = {
            seccomp.JUMP_EQUAL: loaded == step.value,
            seccomp.JUMP_AT_LEAST: loaded >= step.value,
            seccomp.JUMP_ANY_BIT: bool(loaded & step.value),
        }[step.code]
        at += step.yes if holds else step.no


def expected(machine: Machine, families: tuple[int, ...], number: int, first: int) -> int:
    if machine.foreign is not None and number >= machine.foreign:
        return EPERM
    if number in machine.denied.values():
        return EPERM
    if number == machine.clone3:
        return ENOSYS
    if number == machine.clone:
        return EPERM if first & seccomp.NEW_NAMESPACES else seccomp.ALLOW
    if number in (machine.socket, machine.socketpair):
        allowed = families if number == machine.socket else (socket.AF_UNIX,)
        return seccomp.ALLOW if first & 0xFFFFFFFF in allowed else EACCES
    return seccomp.ALLOW


@pytest.mark.parametrize("families", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@given(data=st.data())
def test_it_says_what_it_is_to_say(machine: Machine, families: tuple[int, ...], data: st.DataObject) -> None:
    special = [*machine.denied.values(), machine.clone, machine.clone3, machine.socket, machine.socketpair]
    number = data.draw(st.sampled_from(special) | st.integers(0, 600) | st.integers(0, 2**32 - 1))
    first = data.draw(st.integers(0, 50) | st.integers(0, 2**64 - 1) | st.sampled_from([1 << bit for bit in range(64)]))
    steps = seccomp.program(machine, families)
    assert run(steps, number, machine.audit, first) == expected(machine, families, number, first)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@given(number=st.integers(0, 2**32 - 1), audit=st.integers(0, 2**32 - 1))
def test_another_way_of_calling_is_denied(machine: Machine, number: int, audit: int) -> None:
    if audit != machine.audit:
        assert run(seccomp.program(machine, ()), number, audit, 0) == EPERM


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_it_fits(machine: Machine) -> None:
    steps = seccomp.program(machine, seccomp.NETWORK)
    assert len(steps) < 4096
    assert all(0 <= jump < 256 for step in steps for jump in (step.yes, step.no))
    assert len(set(machine.denied.values())) == len(machine.denied)


def test_both_machines_deny_the_same_but_for_what_only_one_has() -> None:
    x86, arm = (set(MACHINES[name].denied) for name in ("x86_64", "aarch64"))
    assert x86 - arm == {"iopl", "ioperm"}
    assert arm - x86 == set()


def test_threads_and_processes_can_be_made() -> None:
    thread = 0x003D0F00  # CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID
    for machine in MACHINES.values():
        steps = seccomp.program(machine, ())
        for flags in (thread, 0x01200011, 0x00004111):  # a thread, fork, vfork
            assert run(steps, machine.clone, machine.audit, flags) == seccomp.ALLOW
