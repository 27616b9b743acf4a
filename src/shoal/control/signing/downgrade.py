"""Steps back: a signature says that files are genuine, not that they are the newest.

Whoever may push or move a stage could bring back an older version that was signed too, and whose fault is known since.
So a stage that asks for signatures goes forward only, unless somebody says that it shall go back.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.core.errors import Conflict
from shoal.core.registry import Version

_HINT = "if that is meant, say so: `shoal rollback`, or `--allow-older`"


def refuse_downgrade(current: Version | None, wanted: Version, known: Iterable[Version] = (), *, stage: str) -> None:
    """Whether a stage that asks for signatures may go from one version to another by itself.

    Args:
        current: where the stage points; None: nowhere.
        known: the model's versions, to find old content under a new number.

    Raises:
        Conflict: `wanted` is older than `current`, or the same files as a version before it.
    """
    if current is None:
        return
    if wanted.version < current.version:
        told = f"{stage} would go back from version {current.version} to {wanted.version}"
        raise Conflict(told, hint=_HINT, field="version")
    if wanted.digest == current.digest:
        return
    older = [each.version for each in known if each.version < current.version and each.digest == wanted.digest]
    if older:
        told = f"version {wanted.version} has the files of version {max(older)}, which {stage} has left behind"
        raise Conflict(told, hint=_HINT, field="version")
