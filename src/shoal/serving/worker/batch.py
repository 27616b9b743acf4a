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


class Outcome:
    """The outcome of one item on its way into `Done`."""

    __slots__ = ("body", "json_length", "status")

    def __init__(self, status: int, body: Body, json_length: int = -1) -> None:
        self.status = status
        self.body = body
        self.json_length = json_length

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body)) if isinstance(self.body, list) else len(self.body)


def failed(error: ShoalError) -> Outcome:
    """The outcome of an item that gets this error."""
    return Outcome(FAILED, encode_error(error.to_record()))


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
    outcomes: list[Outcome | None] = [None] * len(batch.lengths)
    items = decode_items(served, batch, payload, outcomes, started)
    decoded = clock()
    calls = 0
    if items:
        calls = served.style.run(list(items.values()), batch.max_size, served.seconds_for_culprits)
    computed = clock()
    for at, item in items.items():
        outcomes[at] = encode_item(served, item)
    rows = sum(item.rows for item in items.values())
    times = (decoded - started, computed - decoded, clock() - computed)
    return collect(batch.id, [each for each in outcomes if each is not None], rows, calls, times)


def decode_items(
    served: Served, batch: Batch, payload: Buffer, outcomes: list[Outcome | None], now: float
) -> dict[int, Item]:
    """The items that can be run, by their place; the others get their outcome."""
    items: dict[int, Item] = {}
    decode, admit = served.decoders.decode, served.style.admit
    position = 0
    for at, (form, length, json_length, deadline) in enumerate(
        zip(batch.formats, batch.lengths, batch.json_lengths, batch.deadlines, strict=True)
    ):
        body = payload[position : position + length]
        position += length
        try:
            if deadline <= now:
                raise expired()
            item = Item(form, decode(form, body, json_length), deadline)
            admit(item)
            items[at] = item
        except ShoalError as error:
            outcomes[at] = failed(error)
        except Exception as error:  # noqa: BLE001 - one item's bug must not cost the others their answers
            outcomes[at] = failed(_bug("decode", error))
    return items


def encode_item(served: Served, item: Item) -> Outcome:
    """The outcome of an item that has been run."""
    try:
        return Outcome(OK, *served.encoder.encode(item))
    except ShoalError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(_bug("encode", error))


def _bug(stage: str, error: Exception) -> InternalError:
    logger.exception("bug", extra={"stage": stage})
    return InternalError(f"a bug of the server: {stage} raised {type(error).__name__}")


def collect(
    id: int, outcomes: Sequence[Outcome], rows: int, calls: int, times: tuple[float, float, float]
) -> tuple[Done, list[Buffer]]:
    """Put outcomes together to the answer of a batch."""
    parts: list[Buffer] = []
    lengths: list[int] = []
    fitting: list[Outcome] = []
    total = 0
    for outcome in outcomes:
        length = outcome.length
        if total + length > MAX_PAYLOAD and outcome.status == OK:
            outcome = failed(ModelError("the answers of the batch are too large together", hint="send fewer rows"))
            length = outcome.length
        total += length
        lengths.append(length)
        fitting.append(outcome)
        if isinstance(outcome.body, list):
            parts += outcome.body
        else:
            parts.append(outcome.body)
    statuses = bytes([each.status for each in fitting])
    json_lengths = [each.json_length for each in fitting]
    return Done(id, statuses, lengths, json_lengths, rows, calls, *times), parts


def fail_batch(batch: Batch, error: ShoalError) -> tuple[Done, list[Buffer]]:
    """The answer of a batch of which every item gets the same error."""
    return collect(batch.id, [failed(error)] * len(batch.lengths), 0, 0, (0.0, 0.0, 0.0))
