"""The page of the errors: code, HTTP status, gRPC code, meaning, and what to do."""

from __future__ import annotations

import re

from reference.markdown import block, page, table

from shoal.core import errors
from shoal.core.wire.grpc import Status
from shoal.serving.batching.poison import TTL
from shoal.serving.gateway import problems

INTRODUCTION = """\
Every error has a stable `code`, a sentence, the id of the request and, where they help, a `hint` and the `field` it
is about. Over HTTP they are the body; over gRPC they are in `google.rpc.Status` details (`ErrorInfo`, `BadRequest`,
`RetryInfo`).
"""

EXAMPLE = errors.InvalidInput(
    "the model's input 'inputs' has shape [-1, 4], not [1, 3]",
    hint="-1 stands for any size; the first dimension is the batch",
    field="inputs[0].shape",
)

CLASSES = """\
In Python they are the classes of `shoal.core.errors`, the same in the server and in the [client](../client.md). The
command line ends with 1 after an error of the server and with 2 after wrong usage ([cli.md](cli.md)). In
`predict_all`, an item that failed has its error in its own place, and its neighbours have their answers.
"""

MEANINGS = {
    "method_not_allowed": "the path exists, but not for this method; `Allow` names those that do",
    "unsupported_media_type": "a content type that is not understood",
    "internal": "a bug of ours; it is always logged, with the request's id",
}
"""For codes that the tree in `core.errors` does not tell of, or in other words than a caller needs."""

TO_DO = {
    "invalid_input": "Correct the request: `field` says where. `/v2/models/NAME/docs` shows one that works.",
    "config_error": "Correct the settings: file, line and field are in the sentence.",
    "too_large": "Send less at once, or raise the limit (`limits.body_bytes`).",
    "poison_input": f"Do not send it again: it is refused for {TTL / 60:g} minutes. The log says what it does.",
    "unauthenticated": "Send a key, or a token: `Authorization: Bearer ...`.",
    "too_many_attempts": "Correct the key, and wait for `Retry-After`: it was not even looked at.",
    "permission_denied": "Ask for the permission.",
    "quota_exceeded": "Send less, after `Retry-After`: [overload.md](../guides/overload.md#quotas). "
    "At the control port: delete, or ask for more: [registry.md](../guides/registry.md#quotas).",
    "storage_quota_exceeded": "Delete versions, or ask for more: [registry.md](../guides/registry.md#quotas).",
    "not_found": "Look at `/v2/models`; names are case-sensitive.",
    "conflict": "Look at what is there now, then decide: the sentence says what it is.",
    "corrupt_artifact": "Push the artifact again; if it was right when it was stored, look at the disk.",
    "storage_full": "Make room, then try again: nothing was done.",
    "method_not_allowed": "Use the method that `Allow` names.",
    "unsupported_media_type": "Send JSON, or binary tensors as `application/octet-stream`.",
    "unsupported": "Do without; the sentence says what is not offered.",
    "deadline_exceeded": "Allow more time, or find out what is slow: [faults.md](../guides/faults.md).",
    "cancelled": "Nothing: the caller has gone, nobody reads the answer.",
    "unavailable": "Try again after `Retry-After`.",
    "overloaded": "Try again after `Retry-After`; add workers if it stays so.",
    "not_ready": "Try again after `Retry-After`; the sentence says why, as does `POST /v2/repository/index`.",
    "model_error": "Look at the model: its log has the traceback.",
    "model_contract": "Look at the model: the sentence says which promise it broke.",
    "internal": "Please report it, with the request's id.",
}


def make() -> str:
    """The page. Raises KeyError for a code that nobody has told about."""
    meanings = _meanings() | MEANINGS
    rows = [
        (f"`{code}`", str(outcome.status), Status(outcome.grpc).name, meanings[code], TO_DO[code])
        for code, outcome in sorted(problems.OUTCOMES.items(), key=lambda each: each[1].status)
    ]
    return page(
        "Errors",
        INTRODUCTION,
        block(problems.http_body(EXAMPLE, "ca03a2c5-1").decode(), "json"),
        table(("code", "HTTP", "gRPC", "meaning", "what to do"), rows),
        CLASSES,
    )


def _meanings() -> dict[str, str]:
    """Code -> meaning, as the tree of `core.errors` tells it."""
    told: dict[str, str] = {}
    for names, meaning in re.findall(r"^ {4}[│ ]*[├└]── ([\w /]+?) {2,}(.+)$", errors.__doc__ or "", re.MULTILINE):
        for name in names.split(" / "):
            told[getattr(errors, name).code] = meaning
    told["unauthenticated"] = "who calls is not known"
    told["permission_denied"] = "who calls may not do this"
    return told
