"""One batch: decode each item, group, stack, predict, split, encode each answer.

Every item gets exactly one outcome, in the order of the batch. What is wrong with one item (malformed, does not fit,
too late, makes the model raise) is an error of that item alone; only a broken contract of the adapter fails all items
that were given to it together.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from shoal.core.clock import Clock
from shoal.core.errors import InternalError, ModelError, ShoalError
from shoal.core.ipc.messages import FAILED, OK, Batch, Done
from shoal.core.wire.raw_data import Buffer
from shoal.serving.worker.encode import Body
from shoal.serving.worker.items import Item
from shoal.serving.worker.served import Served
from shoal.serving.worker.styles import expired

logger = logging.getLogger(__name__)

MAX_PAYLOAD = 1 << 31
"""Bytes of all answers of a batch; a frame cannot carry 4 GiB."""

encode_error = msgspec.msgpack.Encoder().encode


class Answers:
    """The outcomes of a batch, in its order, as they go into `Done` and its payload."""

    __slots__ = ("json_lengths", "lengths", "parts", "statuses", "total")

    def __init__(self) -> None:
        self.statuses = bytearray()
        self.lengths: list[int] = []
        self.json_lengths: list[int] = []
        self.parts: list[Buffer] = []
        self.total = 0

    def add(self, body: Body, json_length: int) -> None:
        """Put in the body of the next item, or an error if it does not fit any more."""
        length = len(body) if isinstance(body, bytes) else sum(map(len, body))
        if self.total + length > MAX_PAYLOAD:
            self.fail(ModelError("the answers of the batch are too large together", hint="send fewer rows"))
            return
        if isinstance(body, bytes):
            self.parts.append(body)
        else:
            self.parts += body
        self._close(OK, length, json_length)

    def fail(self, error: ShoalError) -> None:
        """The next item gets this error."""
        body = encode_error(error.to_record())
        self.parts.append(body)
        self._close(FAILED, len(body), -1)

    def _close(self, status: int, length: int, json_length: int) -> None:
        self.total += length
        self.statuses.append(status)
        self.lengths.append(length)
        self.json_lengths.append(json_length)

    def done(self, id: int, rows: int, calls: int, times: tuple[float, float, float]) -> Done:
        """The header of the answer."""
        return Done(id, bytes(self.statuses), self.lengths, self.json_lengths, rows, calls, *times)


def run_batch(served: Served, batch: Batch, payload: Buffer, clock: Clock) -> tuple[Done, list[Buffer]]:
    """Predict for all items of a batch.

    Args:
        served: the model that the batch is for.
        batch: its header.
        payload: the bodies, one after the other.
        clock: monotonic seconds.

    Returns:
        The header of the answer (`memory_bytes` not set), and the parts of its payload.
    """
    started = clock()
    outcomes = decode_items(served, batch, payload, started)
    items = [each for each in outcomes if isinstance(each, Item)]
    decoded = clock()
    calls = served.style.run(items, batch.max_size, served.seconds_for_culprits) if items else 0
    computed = clock()
    answers = encode_items(served, outcomes)
    rows = sum([item.rows for item in items])
    times = (decoded - started, computed - decoded, clock() - computed)
    return answers.done(batch.id, rows, calls, times), answers.parts


def decode_items(served: Served, batch: Batch, payload: Buffer, now: float) -> list[Item | ShoalError]:
    """In the order of the batch: the items that can be run, and the errors of the others."""
    outcomes: list[Item | ShoalError] = []
    decode, admit = served.decoders.decode, served.style.admit
    position = 0
    for form, length, json_length, deadline in zip(
        batch.formats, batch.lengths, batch.json_lengths, batch.deadlines, strict=True
    ):
        start, position = position, position + length
        try:
            if deadline <= now:
                raise expired()
            item = Item(form, decode(form, payload[start:position], json_length), deadline)
            admit(item)
            outcomes.append(item)
        except ShoalError as error:
            outcomes.append(error)
        except Exception as error:  # noqa: BLE001 - one item's bug must not cost the others their answers
            outcomes.append(_bug("decode", error))
    return outcomes


def encode_items(served: Served, outcomes: Sequence[Item | ShoalError]) -> Answers:
    """The answers of a batch that has been run."""
    answers = Answers()
    add, encode = answers.add, served.encoder.encode
    for outcome in outcomes:
        if not isinstance(outcome, Item):
            answers.fail(outcome)
            continue
        try:
            add(*encode(outcome))
        except ShoalError as error:
            answers.fail(error)
        except Exception as error:  # noqa: BLE001 - see above
            answers.fail(_bug("encode", error))
    return answers


def _bug(stage: str, error: Exception) -> InternalError:
    logger.exception("bug", extra={"stage": stage})
    return InternalError(f"a bug of the server: {stage} raised {type(error).__name__}")


def fail_batch(batch: Batch, error: ShoalError) -> tuple[Done, list[Buffer]]:
    """The answer of a batch of which every item gets the same error."""
    answers = Answers()
    for _ in batch.lengths:
        answers.fail(error)
    return answers.done(batch.id, 0, 0, (0.0, 0.0, 0.0)), answers.parts
