"""A shared pool whose workers are objects: loads, answers and deaths come when a test says so."""

from __future__ import annotations

import asyncio
from collections import deque

from shoal.core.errors import ModelError, ShoalError
from shoal.core.ipc.messages import Hello, Loaded, Unloaded
from shoal.core.metrics import Metrics
from shoal.core.model import Batching, ModelSpec
from shoal.core.types import Signature
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.pool.backlog import OUTSIDE, Sent
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.pool.member import Hooks, Member, WorkerDied
from shoal.serving.pool.shared.lease import Stay
from shoal.serving.pool.shared.pool import SharedPool
from shoal.serving.pool.shared.sharing import SharedSettings
from shoal.serving.pool.supervisor import WorkerState
from support.fake_workers import echo
from support.running import AwaitedCall

SIZE = 10


class _Process:
    def lower_priority(self) -> None:
        return


class ObjectMember(Member):
    """Does what `Member` promises, without a process; refuses jobs for what it has not loaded."""

    def __init__(self, hooks: Hooks, *, alone: bool = False) -> None:
        self.name = "object"
        self.state = WorkerState.STARTING
        self.jobs: deque[Sent] = deque()
        self.worn = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.process = _Process()  # type: ignore[assignment]
        self.expected = False
        self.memory_bytes = 0
        self.models: set[int] = set()
        self.loads: dict[int, tuple[ModelSpec, asyncio.Future[None]]] = {}
        self._hooks = hooks
        self._alone = alone

    @property
    def pid(self) -> int | None:
        return 1

    async def start(self, seconds: float) -> Hello:
        await asyncio.sleep(0)
        return Hello(1, 0)

    async def load(self, model: int, spec: ModelSpec, known: Loaded | None = None) -> Loaded:
        if self.ended.done():
            raise WorkerDied(self.ended.result())
        if not self._alone:
            self.loads[model] = spec, asyncio.get_running_loop().create_future()
            await self.loads[model][1]
        self.models.add(model)
        return Loaded(model, Signature(), "object", True, "", 0.0, SIZE, "")

    def end_load(self, *, good: bool) -> None:
        """The load at work is done."""
        number, (_, future) = self.loads.popitem()
        if not future.done():
            future.set_result(None) if good else future.set_exception(ModelError(f"load {number} failed"))

    async def unload(self, model: int) -> Unloaded:
        self.models.remove(model)
        await asyncio.sleep(0)
        if self.ended.done():
            raise WorkerDied(self.ended.result())
        return Unloaded(model, 0, SIZE)

    async def open(self) -> None:
        if self.ended.done():
            raise WorkerDied(self.ended.result())
        self.state = WorkerState.READY
        self._hooks.on_room()

    def send(self, job: Job, model: int, seconds: float) -> None:
        assert self.state is WorkerState.READY
        assert model in self.models
        self.jobs.append(Sent(0, job, model, seconds))
        if self._alone:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        """The job at work is done."""
        sent = self.jobs.popleft()
        self._hooks.on_job_end(sent.model)
        self._hooks.on_room()
        sent.job.owner.done(sent.job, *echo(sent.job))
        if self.state is WorkerState.DRAINING and not self.jobs:
            self.stop()

    def retire(self) -> None:
        if self.state is WorkerState.READY:
            self.state = WorkerState.DRAINING
            self._hooks.on_room()
            if not self.jobs:
                self.stop()

    def kill(self, reason: str) -> None:
        if self.ended.done():
            return
        self.state = WorkerState.DEAD
        self.ended.set_result(reason)
        for _, future in self.loads.values():
            if not future.done():
                future.set_exception(WorkerDied(reason))
        self._hooks.on_end(self, reason)
        while self.jobs:
            sent = self.jobs.pop()
            self._hooks.on_job_end(sent.model)
            sent.job.owner.lost(sent.job, Loss(reason, suspect=not self.jobs, outside=reason in OUTSIDE))
        self._hooks.on_room()

    async def finish(self) -> str:
        return await asyncio.shield(self.ended)


class ObjectPool(SharedPool):
    """A pool of such workers."""

    def _make(self, hooks: Hooks) -> Member:
        member = ObjectMember(hooks)
        self.made = [*getattr(self, "made", []), member]
        return member

    def make_alone(self, spec: ModelSpec, hooks: Hooks) -> Member:
        return ObjectMember(hooks, alone=True)


class SharedWorld:
    """A pool, models with runners, and every call that was ever made."""

    def __init__(self, models: int, **settings: int) -> None:
        self.pool = ObjectPool("objects", SharedSettings(idle_seconds=None, min_residence=0.0, **settings))  # type: ignore[arg-type]
        self._instruments = Instruments(Metrics())
        self.calls: list[AwaitedCall] = []
        self.models: dict[AwaitedCall, int] = {}
        self.runners = [self._runner(number) for number in range(models)]

    def _runner(self, number: int) -> ModelRunner:
        spec = ModelSpec(
            name=f"m{number}", path="/nowhere", runtime="python", placement="shared", batching=Batching(max_size=2)
        )
        return ModelRunner(spec, instruments=self._instruments, workers=self.pool.seat(spec))

    async def start(self) -> None:
        await self.pool.start()
        for runner in self.runners:
            await runner.start()

    @property
    def members(self) -> list[ObjectMember]:
        """Those that live."""
        self.pool.made = [each for each in self.pool.made if not each.ended.done()]
        return self.pool.made

    def submit(self, number: int) -> None:
        call = AwaitedCall(b"%d" % len(self.calls))
        self.calls.append(call)
        self.models[call] = number
        self.runners[number % len(self.runners)].dispatch.submit(call)

    def cancel(self, number: int) -> None:
        """The caller of one of the calls that wait goes away."""
        waiting = [at for at, call in enumerate(self.calls) if not call.outcome.done()]
        if waiting:
            call = self.calls[waiting[number % len(waiting)]]
            self.runners[self.models[call] % len(self.runners)].dispatch.cancel(call)
            call.outcome.cancel()

    async def replace(self, number: int) -> None:
        """Drop a runner as hosting does, and make a new one."""
        at = number % len(self.runners)
        old, self.runners[at] = self.runners[at], self._runner(at)
        await old.stop()
        try:
            await self.runners[at].start()
        except ShoalError:
            return

    async def turn(self) -> None:
        """Let everything happen that happens by itself."""
        for _ in range(6):
            await asyncio.sleep(0)

    async def come_to_rest(self) -> None:
        """Every load is good and every job answered, until every call has its outcome."""
        async with asyncio.timeout(20):
            while not all(call.outcome.done() for call in self.calls):
                for member in self.members:
                    while member.jobs:
                        member.answer()
                    if member.loads:
                        member.end_load(good=True)
                await asyncio.sleep(0.0005)

    def check(self) -> None:
        """The accounts agree with each other, and nobody has more than there is room for."""
        for place in self.pool.places:
            resident = {lease.key for lease in place.leases.values() if lease.stay is Stay.RESIDENT}
            loading = {lease.key for lease in place.leases.values() if lease.stay is Stay.LOADING}
            assert {each.key for each in place.residents} == resident | loading
            assert len(place.residents) <= (self.pool.settings.max_models or 10**9)
            if isinstance(place.member, ObjectMember):
                numbers = {number for number, lease in place.leases.items() if lease.stay is Stay.RESIDENT}
                assert numbers <= place.member.models
                assert len(place.member.jobs) <= 2 + len(place.leases)

    def check_at_rest(self) -> None:
        """No worker has a model that nobody knows of."""
        self.check()
        for place in self.pool.places:
            if isinstance(place.member, ObjectMember):
                assert place.member.models <= set(place.leases)

    async def stop(self) -> None:
        for runner in self.runners:
            await runner.stop()
        await self.pool.stop()
