"""Numbers of system calls: those that no worker may make, and those that are looked at.

Sources: the kernel's `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`. Calls that are
newer than 423 have the same number everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_NEW = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "open_tree_attr": 467,
}  # fmt: skip
"""io_uring is among them as what it does is not seen by seccomp: it could open sockets."""

_X86_64 = {
    "ptrace": 101, "syslog": 103, "setpgid": 109, "setsid": 112, "vhangup": 153, "pivot_root": 155, "adjtimex": 159,
    "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "quotactl": 179, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249,
    "keyctl": 250, "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304, "clock_adjtime": 305,
    "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip

_AARCH64 = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "vhangup": 58, "quotactl": 60, "acct": 89,
    "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116,
    "ptrace": 117, "reboot": 142, "setpgid": 154, "setsid": 157, "sethostname": 161, "setdomainname": 162,
    "settimeofday": 170, "adjtimex": 171, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224,
    "swapoff": 225, "perf_event_open": 241, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280,
    "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip


class Machine(NamedTuple):
    """The calls of one kind of processor.

    Attributes:
        audit: how a filter sees that a call was made the way of this processor.
        denied: calls that no worker may make.
        clone, clone3, socket, socketpair, seccomp: calls that are looked at, or made.
        foreign: numbers from here on belong to another way of calling, or None.
    """

    audit: int
    denied: Mapping[str, int]
    clone: int
    clone3: int
    socket: int
    socketpair: int
    seccomp: int
    foreign: int | None = None


MACHINES = {
    "x86_64": Machine(0xC000003E, {**_X86_64, **_NEW}, 56, 435, 41, 53, 317, foreign=0x40000000),
    "aarch64": Machine(0xC00000B7, {**_AARCH64, **_NEW}, 220, 435, 198, 199, 277),
}
"""By the name that `platform.machine` has for them."""
