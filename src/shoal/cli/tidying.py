"""What `shoal gc` frees on this machine beside the artifacts: worker environments that nothing needs any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.core.errors import ConfigError

if TYPE_CHECKING:
    from shoal.client.control import ControlClient
    from shoal.control.environments.records import Environment

PAGE = 500


def remove_environments(client: ControlClient, home: Path | None) -> tuple[Environment, ...]:
    """Remove environments of this home that no service names, no process holds and nobody has used for a day."""
    from shoal.control.environments.environments import Environments
    from shoal.core.settings.control import load_control_settings

    folder = load_control_settings(None, os.environ, {"home": home}).folder / "environments"
    if not folder.is_dir():
        return ()
    return Environments(folder).remove_unused(set(_named(client)))


def _named(client: ControlClient) -> Iterator[str]:
    """The digests of the environments that services name."""
    from shoal.control.environments.locks import environment_digest, parse_lock
    from shoal.control.environments.needs import this_target

    target = this_target()
    for text in set(_locks(client)):
        with suppress(ConfigError):  # a lock that cannot be read has no environment
            yield environment_digest(parse_lock(text), target)


def _locks(client: ControlClient) -> Iterator[str]:
    after = ""
    while True:
        page = client.services(limit=PAGE, after=after)
        yield from (each.service.requirements for each in page.services if each.service.requirements)
        after = page.next
        if not after:
            return
