"""A worker that serves one model and no other: brought up, or tried out where it hurts nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shoal.core.errors import ShoalError
from shoal.core.ipc import messages
from shoal.core.model import ModelSpec
from shoal.serving.pool.member import Hooks, Member, WorkerDied

MODEL = 1
"""The number of the only model of a dedicated worker."""
START_SECONDS = 60.0
"""Time for the process of a worker to come up."""


async def start_with(member: Member, spec: ModelSpec) -> messages.Loaded:
    """Start a worker that serves nothing but this model; return when it takes jobs.

    Raises:
        WorkerDied: the process ended meanwhile.
        ShoalError: it could not be started, or the model not be loaded; the worker is killed.
    """
    try:
        await member.start(START_SECONDS)
        loaded = await member.load(MODEL, spec)
        await member.open()
    except asyncio.CancelledError:
        member.stop()
        raise
    except BaseException:
        member.kill("load_failed")
        raise
    return loaded


async def tried(make: Callable[[Hooks], Member], spec: ModelSpec) -> str:
    """Load a model in a worker of its own, which is ended then; why that cannot be done, "" if it can."""
    member = make(Hooks(on_room=lambda: None, on_end=lambda member, reason: None))
    try:
        await start_with(member, spec)
    except (WorkerDied, ShoalError) as error:
        return describe(error)
    finally:
        member.stop()
        if member.process is not None:
            await member.finish()
    return ""


def describe(error: BaseException) -> str:
    """A sentence on why a worker did not become ready."""
    if isinstance(error, WorkerDied):
        return f"the worker died while loading the model ({error})"
    return error.message if isinstance(error, ShoalError) else f"{type(error).__name__}: {error}"
