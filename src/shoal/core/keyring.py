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
