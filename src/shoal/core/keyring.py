"""What the control API says and is asked about keys, and about the audit log that their use leaves."""

from __future__ import annotations

import msgspec

from shoal.core.access import Grant


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that is to be made.

    Attributes:
        name: for people; may be used again.
        grants: what it may do; never more than whoever makes it.
        tenant: whose quota its requests count to; "" is its name. Only an administrator chooses it.
        seconds: how long it is valid; 0: until it is revoked.
    """

    name: str
    grants: tuple[Grant, ...]
    tenant: str = ""
    seconds: float = 0.0


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: nothing of its secret.

    Attributes:
        id: the public first part of its text.
        created, expires, revoked: Unix seconds; 0: never.
        used: when it was last used at this control, to the hour; 0: never.
        creator: who made it.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    tenant: str = ""
    created: float = 0.0
    expires: float = 0.0
    revoked: float = 0.0
    used: float = 0.0
    creator: str = ""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made; `key` is its text, told this once."""

    key: str
    entry: KeyEntry


class KeyList(msgspec.Struct, frozen=True):
    """Keys, newest first."""

    keys: tuple[KeyEntry, ...]


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wanted at a data port and may not, as often as it came within a few seconds.

    Attributes:
        kind: code of the error that they got; `OTHERS` for all for which there was no place of their own.
        who: id of the key, or whoever a token or certificate names; of a wrong key the id that it claims; "" if nobody
            knows.
        permission: what they would have needed; "" where nobody knows who asked.
        namespace, model: of what; "" for no model in particular.
        count: how often.
        first, last: when; Unix seconds.
        source: the address that the last one came from.
    """

    kind: str
    who: str = ""
    permission: str = ""
    namespace: str = ""
    model: str = ""
    count: int = 1
    first: float = 0.0
    last: float = 0.0
    source: str = ""


OTHERS = "others"


class DeniedBatch(msgspec.Struct, frozen=True):
    """What a node has denied since it told last."""

    attempts: tuple[Denied, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the whole audit log has found.

    Attributes:
        records: how many were looked at.
        number, hash: of the newest record; worth remembering, as it proves that nothing was cut off since.
        broken: number of the first record that is not what it was, 0 if there is none.
        reason: what is wrong with it, as a sentence.
    """

    records: int
    number: int = 0
    hash: str = ""
    broken: int = 0
    reason: str = ""
