"""A hostile model tries to break out of its worker. Each attempt is denied, whoever runs the node."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.core.confinement import Rules
from shoal.serving.worker.confinement import landlock, seccomp
from shoal.serving.worker.confinement.numbers import MACHINES
from support.prison import SECRET, Prison, is_root, prison, scene

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock does not restrict signals"),
    pytest.mark.skipif(not seccomp.available(), reason="this kernel takes no filter of system calls"),
]

CALLS = MACHINES.get(platform.machine(), MACHINES["x86_64"]).denied


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scene() as made:
        yield made


@pytest.fixture(scope="module", params=["as it is", "ordinary user"])
def inside(request: pytest.FixtureRequest, folder: Path) -> Iterator[Prison]:
    """A worker of a node that runs as whoever runs the tests; and, if that is root, one of an ordinary user's."""
    ordinary = request.param == "ordinary user"
    if ordinary and not is_root():
        pytest.skip("the tests are run by an ordinary user: the other form is this one")
    with prison(folder, ordinary=ordinary) as made:
        yield made


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    """Another process of the node's user."""
    process = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    assert process.poll() is None, "somebody has killed it"
    process.kill()
    process.communicate()


def denied(answer: str) -> bool:
    return answer.startswith("denied")


def test_nothing_is_missing_that_holds_for_everybody(inside: Prison) -> None:
    allowed = {"own_user", "namespaces", "capabilities"}
    assert not inside.missing.keys() - allowed, inside.missing


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/root/.ssh/id_ed25519", "/dev/mem", "/dev/kmsg", "/dev/tty"],
)
def test_files_of_the_system_are_not_read(inside: Prison, path: str) -> None:
    assert denied(inside.attempt("read", path))


@pytest.mark.parametrize(
    "path", ["other/model.onnx", "home/registry.db", "home/nodes/n/routes.db", "home/control.json"]
)
def test_other_models_registry_and_state_of_the_node_are_not_read(inside: Prison, path: str) -> None:
    assert (inside.folder / path).read_text() == SECRET
    for attempt in ("read", "read_by_link", "hard_link", "child_reads"):
        answer = inside.attempt(attempt, str(inside.folder / path))
        assert denied(answer), (attempt, answer)
        assert SECRET not in answer


@pytest.mark.parametrize("path", ["/", "/tmp", "/root", "/home", "home", "other", "."])
def test_folders_are_not_listed(inside: Prison, path: str) -> None:
    assert denied(inside.attempt("list", str(inside.folder / path)))


@pytest.mark.parametrize("name", ["environ", "mem", "maps", "auxv", "root/etc/passwd", "cwd/x", "fd/0", "exe"])
def test_the_parent_is_not_looked_into(inside: Prison, victim: int, name: str) -> None:
    for pid in (os.getpid(), victim):
        assert denied(inside.attempt("read", f"/proc/{pid}/{name}"))


@pytest.mark.parametrize("name", ["cwd", "root", "exe", "fd/0", "fd/1"])
def test_it_does_not_learn_what_the_parent_has_open(inside: Prison, victim: int, name: str) -> None:
    for pid in (os.getpid(), victim):
        assert denied(inside.attempt("link", f"/proc/{pid}/{name}"))


def test_the_parent_is_not_traced(inside: Prison, victim: int) -> None:
    for pid in (os.getpid(), victim):
        assert denied(inside.attempt("attach", pid))
        assert denied(inside.attempt("peek", pid))
        assert denied(inside.attempt("append", f"/proc/{pid}/mem"))


@pytest.mark.parametrize("number", [0, 9, 15, 19])
def test_nobody_else_gets_its_signals(inside: Prison, victim: int, number: int) -> None:
    for pid in (victim, *([os.getpid()] if number == 0 else [])):
        assert denied(inside.attempt("signal", pid, number))


def test_another_worker_is_safe_from_it(inside: Prison, folder: Path) -> None:
    with prison(folder) as other:
        assert denied(inside.attempt("signal", other.pid, 9))
        assert denied(inside.attempt("attach", other.pid))
        assert denied(inside.attempt("read", f"/proc/{other.pid}/environ"))
        assert denied(inside.attempt("read", f"/proc/{other.pid}/mem"))
        assert denied(inside.attempt("list", other.attempt("environment") and _folder_of(other)))
        assert other.attempt("own_folder").startswith("escaped")


def _folder_of(prison: Prison) -> str:
    home: str = json.loads(prison.attempt("environment").removeprefix("escaped "))["HOME"]
    return home


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.1"])
def test_no_address_is_connected_to(inside: Prison, kind: str, address: str) -> None:
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.setblocking(False)
        assert denied(inside.attempt("connect", "AF_INET", kind, [address, trap.getsockname()[1]]))
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_no_unix_socket_is_connected_to(inside: Prison) -> None:
    for name in (str(inside.folder / "socket"), f"\0{inside.folder}"):
        with socket.socket(socket.AF_UNIX) as trap:
            trap.bind(name)
            trap.listen()
            assert denied(inside.attempt("connect", "AF_UNIX", "SOCK_STREAM", name))
    (inside.folder / "socket").unlink()


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_PACKET", "AF_NETLINK", "AF_VSOCK", "AF_ALG"])
def test_no_socket_is_made(inside: Prison, family: str) -> None:
    assert denied(inside.attempt("listen", family, ["0.0.0.0", 0]))


def test_a_pair_of_sockets_is_had(inside: Prison) -> None:
    assert inside.attempt("pair") == "escaped hello"


def test_a_fork_bomb_ends_soon(inside: Prison) -> None:
    most = 64 + int(Path("/proc/loadavg").read_text().split()[3].split("/")[1]) + 1000
    assert denied(inside.attempt("fork_bomb", most))


def test_what_it_starts_stays_with_it(inside: Prison) -> None:
    assert denied(inside.attempt("leave_session"))
    assert denied(inside.attempt("fork_leaving_session"))


def test_nothing_is_written_outside_of_its_folder(inside: Prison) -> None:
    model = inside.folder / "hostile"
    places = (inside.folder, model, inside.folder / "home", Path("/tmp"), Path("/var/tmp"), Path.cwd(), Path("/"))
    for place in places:
        assert denied(inside.attempt("write", str(place / "was-here")))
        assert denied(inside.attempt("make_folder", str(place / "was-here")))
        assert not (place / "was-here").exists()
    for path in (model / "model.py", inside.folder / "other" / "model.onnx"):
        assert denied(inside.attempt("append", str(path)))
        assert denied(inside.attempt("remove", str(path)))
        assert denied(inside.attempt("rename", str(path), f"{path}2"))


def test_its_own_folder_is_its_own(inside: Prison) -> None:
    assert inside.attempt("own_folder") == "escaped b'was here' True"
    assert denied(inside.attempt("run_from_own_folder"))
    assert denied(inside.attempt("too_large", 5 * 1024**3))
    assert denied(inside.attempt("device"))


def test_it_gets_no_more_rights(inside: Prison) -> None:
    assert denied(inside.attempt("become", 0))
    assert denied(inside.attempt("raise_limits"))
    assert inside.attempt("status", "NoNewPrivs") == "escaped 1"
    assert inside.attempt("status", "Seccomp") == "escaped 2"
    assert int(inside.attempt("status", "CapBnd").split()[1], 16) == 0 or not is_root() or "own_user" in inside.missing
    assert int(inside.attempt("status", "CapEff").split()[1], 16) in (0, 4)  # 4: reading, of what the rules allow


def test_the_system_stays_as_it_is(inside: Prison) -> None:
    assert denied(inside.attempt("mount"))
    assert denied(inside.attempt("chroot", "/usr"))
    for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000):  # user, mount, network, process namespaces
        assert denied(inside.attempt("unshare", flag))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_calls_that_no_model_needs_are_denied(inside: Prison, name: str) -> None:
    assert inside.attempt("call", CALLS[name], 0, 0, 0, 0, 0) == "denied EPERM"


def test_it_sees_what_it_was_given_and_nothing_else(inside: Prison) -> None:
    said = json.loads(inside.attempt("environment").removeprefix("escaped "))
    assert said["GREETING"] == "hello"
    descriptors = json.loads(inside.attempt("descriptors").removeprefix("escaped "))
    kinds = Counter(each.split(":")[0] for each in descriptors)
    assert kinds.keys() <= {"/dev/null", "pipe", "socket"}
    assert kinds["socket"] == 1


def test_the_network_is_there_for_a_model_that_asks(folder: Path) -> None:
    with socket.socket() as trap, prison(folder, network=True) as inside:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        port = trap.getsockname()[1]
        assert inside.attempt("connect", "AF_INET", "SOCK_STREAM", ["127.0.0.1", port]) == "escaped None"
        assert denied(inside.attempt("listen", "AF_PACKET", ["lo", 0]))
        assert denied(inside.attempt("read", "/etc/shadow"))


def test_a_node_can_say_no_to_all_who_ask(folder: Path) -> None:
    with prison(folder, rules=Rules(network="never"), network=True) as inside:
        assert denied(inside.attempt("connect", "AF_INET", "SOCK_STREAM", ["127.0.0.1", 1]))


def test_strict_has_no_shared_memory(folder: Path) -> None:
    name = f"/dev/shm/shoal-test-{os.getpid()}"
    try:
        with prison(folder) as basic:
            assert basic.attempt("write", name).startswith("escaped")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    with prison(folder, rules=Rules(level="strict")) as strict:
        assert denied(strict.attempt("write", name))
