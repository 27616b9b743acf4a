"""A started server: waited for until it answers, accounted for, and ended with all its processes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import accounting, environments, probe
from benchmarks.driver import Load, Request, drive
from benchmarks.paths import LOGS, SERVERS, WORK
from benchmarks.peers import Launch, Peer, Setup, Site, Wire
from benchmarks.summary import Sample

START_LIMIT = 120.0
STOP_LIMIT = 4.0
MODEL_LIMIT = 10.0
POLL = 0.02


class CannotStart(Exception):
    """The server did not come to answer; the message says why, in one line."""


class Server:
    """One server, from its start to its end. Use `running`."""

    def __init__(self, peer: Peer, setup: Setup, site: Site, process: subprocess.Popen[bytes]) -> None:
        self.peer, self.setup, self.site = peer, setup, site
        self.start_seconds = 0.0
        self._process = process

    @property
    def pids(self) -> set[int]:
        return accounting.tree(self._process.pid, accounting.processes(), {os.getsid(0)})

    def request(self, wire: Wire, model: str | None = None) -> Request:
        """A request that is known to be answered well."""
        setup = dataclasses.replace(self.setup, model=model or self.setup.model)
        request = self.peer.request(setup, wire, self.site)
        if request is None:
            raise CannotStart(f"{self.peer.name} does not offer {wire}")
        answer = self._ask(request, time.monotonic() + MODEL_LIMIT)
        return dataclasses.replace(request, answer_bytes=len(answer) if request.grpc else None)

    def _ask(self, request: Request, until: float) -> bytes:
        """A good answer; a model that was not the first to be asked for may still be loading."""
        while True:
            try:
                return probe.ask(request)
            except probe.NotReady as error:
                if time.monotonic() > until:
                    raise CannotStart(f"{self.peer.name}, {request.url}: {error}") from error
            time.sleep(10 * POLL)

    def measure(self, request: Request, load: Load) -> Sample:
        """One run, with the CPU time that the server spent on it."""
        before = self.cpu_seconds()
        sample = drive(request, load)
        spent = self.cpu_seconds() - before
        return dataclasses.replace(sample, cpu_per_1000=1000 * spent / sample.requests)

    def cpu_seconds(self) -> float:
        table = accounting.processes()
        return accounting.cpu_seconds(self.pids, table)

    def memory(self) -> accounting.Memory:
        return accounting.memory(self.pids)

    def gateway_rss_mib(self) -> float:
        """RSS of the process that listens on the HTTP port."""
        return self.gateway_memory().rss

    def gateway_memory(self) -> accounting.Memory:
        """What the process holds that listens on the HTTP port.

        Raises:
            CannotStart: there is none.
        """
        owner = accounting.owner_of_port(self.pids, self.site.http)
        if owner is None:
            raise CannotStart(f"{self.peer.name}: nothing listens on port {self.site.http}")
        return accounting.memory([owner])

    def wait(self, wire: Wire, since: float) -> None:
        """Asks until the answer is good."""
        request, reason = self.peer.request(self.setup, wire, self.site), "no request"
        while request and time.monotonic() - since < START_LIMIT:
            try:
                probe.ask(request, timeout=20.0)
            except probe.NotReady as error:
                reason = str(error)
            else:
                self.start_seconds = time.monotonic() - since
                return
            if self._process.poll() is not None:
                raise CannotStart(f"{self.peer.name} ended with {self._process.returncode}: {last_line(self.log)}")
            time.sleep(POLL)
        raise CannotStart(f"{self.peer.name} does not answer: {reason}")

    @property
    def log(self) -> Path:
        return log_of(self.peer, self.setup)

    def stop(self) -> None:
        """Ends every process of the tree, politely first."""
        pids = self.pids
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sent)
            pids = self._survivors(pids, time.monotonic() + STOP_LIMIT)
            if not pids:
                break
        self._process.wait(STOP_LIMIT)

    def _survivors(self, pids: set[int], until: float) -> set[int]:
        alive = pids
        while alive and time.monotonic() < until:
            self._process.poll()
            table = accounting.processes()
            alive = {pid for pid in pids | self.pids if pid in table and table[pid].state != "Z"}
            time.sleep(POLL)
        return alive


@contextlib.contextmanager
def running(peer: Peer, setup: Setup, *, core: int | None = 0, wire: Wire = Wire.JSON) -> Iterator[Server]:
    """The server, ready to answer; `core` pins all its processes from the start.

    Raises:
        CannotInstall, CannotStart: with the reason.
    """
    environments.make(peer)
    ports = accounting.free_ports(3)
    site = Site(environments.python_of(peer), environments.models_of(peer), WORK, *ports)
    launch = peer.launch(setup, site)
    since = time.monotonic()
    server = Server(peer, setup, site, _spawn(peer, launch, setup, site, core))
    try:
        server.wait(wire, since)
        yield server
    finally:
        server.stop()


def _spawn(peer: Peer, launch: Launch, setup: Setup, site: Site, core: int | None) -> subprocess.Popen[bytes]:
    variables = {
        "SHOAL_BENCH_MODELS": str(site.models),
        "SHOAL_BENCH_MODEL": setup.model,
        "SHOAL_BENCH_BATCH": str(setup.batch),
        "SHOAL_BENCH_WAIT_MS": str(setup.wait_ms),
        "SHOAL_BENCH_HTTP_PORT": str(site.http),
        "SHOAL_BENCH_GRPC_PORT": str(site.grpc),
        "SHOAL_BENCH_METRICS_PORT": str(site.metrics),
        "PYTHONPATH": str(SERVERS),
    }
    # Shoal itself runs at its defaults; everyone else is told to keep numerical libraries on one thread.
    ours = {} if not peer.environment else {**variables, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    pinned = () if core is None else ("taskset", "-c", str(core))
    with log_of(peer, setup).open("wb") as log:
        return subprocess.Popen(
            (*pinned, *launch.command),
            cwd=SERVERS,
            env={**inherited, **ours, **launch.environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def log_of(peer: Peer, setup: Setup) -> Path:
    """Where the server's output goes."""
    return LOGS / f"{peer.name}-{setup.model}-{setup.batch}.log"


def last_line(path: Path) -> str:
    """The last line that says something."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"
