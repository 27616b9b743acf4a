"""`shoal deploy | diff | promote`: service files to control, and from one environment to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import environments, service_ref
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, NamespaceOption, connected
from shoal.cli.showing import plain, show_json, show_table
from shoal.core.errors import ConfigError
from shoal.core.registry import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from shoal.client.control import ControlClient
    from shoal.core.catalogue import Difference, ServiceEntry
    from shoal.core.service import Service

EPILOG = """
Examples:

  shoal deploy -f service.yaml                     every environment of the file
  shoal deploy -f service.yaml --env staging       one of them
  shoal deploy -f merlin_service.yaml --dry-run    what would change; nothing is done
  shoal deploy -f service.yaml --wait              until a node answers with it
"""
DIFF_EPILOG = """
Examples:

  shoal diff iris staging production      between environments
  shoal diff -f service.yaml              what deploying a file would change

The exit code is 1 if there is a difference.
"""
PROMOTE_EPILOG = """
Examples:

  shoal promote 'staging->production' iris
  shoal promote staging production iris@team-a
"""

File = Annotated[Path, typer.Option("--file", "-f", help="A service.yaml, or a Merlin service file.")]
POLL_SECONDS = 0.2


def deploy(
    file: File,
    env: Annotated[str | None, typer.Option("--env", "-e", help="Only this environment of the file.")] = None,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    wait: Annotated[bool, typer.Option("--wait", help="Return when a node answers with it.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that --wait waits.")] = 300.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Deploy what a service file says, or tell what that would change."""
    with told():
        services = _services(file, env, namespace)
        with connected(control, home) as client:
            if dry_run:
                _show_changes({each.address: client.changes(each) for each in services}, as_json=as_json)
                return
            entries = [client.put_service(each) for each in services]
            reasons = {each.service.address: client.route(each.service.address).reason for each in entries}
            if wait:
                entries = [_wait(client, each, timeout) for each in entries]
    if as_json:
        show_json({"services": entries, "reasons": {name: reason for name, reason in reasons.items() if reason}})
        return
    for entry in entries:
        print(f"deployed {entry.service.address} (revision {entry.revision})")
        if reason := reasons[entry.service.address]:
            print(f"  it cannot answer yet: {plain(reason)}")


def diff(
    service: Annotated[str | None, typer.Argument(help="NAME[@NAMESPACE].")] = None,
    source: Annotated[str | None, typer.Argument(help="An environment, such as staging.")] = None,
    target: Annotated[str | None, typer.Argument(help="Another one, such as production.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Compare what is deployed with this file.")] = None,
    env: Annotated[str | None, typer.Option("--env", "-e", help="Only this environment of the file.")] = None,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """In what two environments, or a file and what is deployed, differ."""
    with told():
        if (file is None) is (service is None):
            raise ConfigError("name a service and two environments, or a file with -f", hint="see shoal diff --help")
        with connected(control, home) as client:
            if file is not None:
                found = {each.address: client.changes(each) for each in _services(file, env, namespace)}
            else:
                old, new = environments(each for each in (source, target) if each)
                where = service_ref(service or "")
                place = where.namespace if where.namespace != DEFAULT_NAMESPACE else namespace
                found = {f"{where.name}: {old} -> {new}": client.differences(where.name, old, new, place)}
        _show_changes(found, as_json=as_json)
    raise typer.Exit(1 if any(found.values()) else 0)


def promote(
    words: Annotated[list[str], typer.Argument(help="'SOURCE->TARGET' SERVICE, or SOURCE TARGET SERVICE.")],
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Let an environment answer with what another one answers with; it keeps its own sizes."""
    with told():
        if len(words) < 2:
            raise ConfigError("name the environments and the service", hint="shoal promote 'staging->production' iris")
        source, target = environments(words[:-1])
        where = service_ref(words[-1])
        with connected(control, home) as client:
            entry = client.promote(where.namespace, where.name, source, target)
    if as_json:
        show_json(entry)
    else:
        service = entry.service
        print(f"promoted {service.address}: {service.model}:{service.ref} (revision {entry.revision})")


def _services(file: Path, env: str | None, namespace: str) -> list[Service]:
    """What a file says, of one environment or all; its notes go to standard error."""
    import sys

    from shoal.core.settings.services import load_service_file

    loaded = load_service_file(file, namespace=namespace)
    for note in loaded.notes:
        print(f"note: {note}", file=sys.stderr)
    if env is not None and env not in loaded.services:
        raise ConfigError(f"{file} has no environment {env}", hint=f"it has {', '.join(loaded.services)}")
    return [each for name, each in loaded.services.items() if env in (None, name)]


def _wait(client: ControlClient, entry: ServiceEntry, timeout: float) -> ServiceEntry:
    """Wait until a node answers with what was deployed.

    Raises:
        NotReady: there is no version that could answer.
        DeadlineExceeded: none does in time; the sentence says why.
    """
    import time

    from shoal.core.errors import DeadlineExceeded, NotReady

    service, deadline = entry.service, time.monotonic() + timeout
    while True:
        route = client.route(service.address)
        if route.reason:
            hint = "push the version or move the stage: nodes follow by themselves"
            raise NotReady(f"{service.address} is deployed and cannot answer yet: {plain(route.reason)}", hint=hint)
        seen = client.service(service.namespace, service.name, service.environment)
        version = route.target.version if route.target else ""
        states = [each.status for each in seen.health]
        if version and any(each.state == "READY" and each.version == version for each in states):
            return seen
        if time.monotonic() >= deadline:
            why = next((each.reason for each in states if each.reason), "") or "no node has reported it"
            raise DeadlineExceeded(
                f"{service.address} is not ready after {timeout:g} s: {why}", hint="see shoal services"
            )
        time.sleep(POLL_SECONDS)


def _show_changes(found: dict[str, tuple[Difference, ...]], *, as_json: bool) -> None:
    if as_json:
        show_json({"differences": found})
        return
    for name, differences in found.items():
        print(f"{name}{'' if differences else ': no difference'}")
        if differences:
            show_table(("field", "now", "then"), ((each.path, each.old, each.new) for each in differences))


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(deploy)
    app.command(epilog=DIFF_EPILOG)(diff)
    app.command(epilog=PROMOTE_EPILOG)(promote)
