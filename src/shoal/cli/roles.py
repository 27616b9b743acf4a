"""`shoal gateway`, `shoal proxy` and `shoal worker`: the parts of a split node, started one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shoal.core.settings.node import NodeSettings
    from shoal.node.tree.plan import Membership

GATEWAY_EPILOG = """
Examples:

  shoal gateway --proxies-at /run/shoal/proxies                        proxies on this machine, by their sockets
  shoal gateway --proxies-at 10.0.0.7:9090,10.0.0.8:9090 --config shoal.yaml   on others, with certificates
  shoal gateway --directory proxies.txt --config shoal.yaml            a list that is followed as it changes
"""
PROXY_EPILOG = """
Examples:

  shoal proxy models/ --listen unix:/run/shoal/proxies/one.sock        models of files, for gateways of this machine
  shoal proxy --listen unix:/run/shoal/proxies/one.sock --control http://ctl:8081
  shoal proxy --listen 0.0.0.0:9090 --operations 127.0.0.1:9091 --config shoal.yaml   for gateways elsewhere
  shoal proxy models/ --listen unix:/run/shoal/proxies/one.sock --workers-at /run/shoal/workers   workers elsewhere
"""
WORKER_EPILOG = """
Examples:

  shoal worker models/ --listen unix:/run/shoal/workers/one.sock       for proxies of this machine
  shoal worker models/ --listen 0.0.0.0:9095 --config shoal.yaml       for proxies elsewhere, with certificates
  shoal worker --listen 0.0.0.0:9095 --control http://ctl:8081 --config shoal.yaml   models of a registry
"""

Config = Annotated[Path | None, typer.Option(help="Settings of the process (shoal.yaml).")]
ReadyFd = Annotated[
    int | None, typer.Option(help="Write one JSON line to this descriptor once it is ready.", hidden=True)
]
Parent = Annotated[int | None, typer.Option(help="End with the process of this id.", hidden=True)]
Tree = Annotated[Path | None, typer.Option(help="Run folder of the node that this is a part of.", hidden=True)]
MemberName = Annotated[str, typer.Option(help="Which part of it this is.", hidden=True)]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]


def gateway(
    proxies_at: Annotated[
        str | None, typer.Option(help="Where the proxies are: a folder of sockets, or HOST:PORT,HOST:PORT.")
    ] = None,
    directory: Annotated[Path | None, typer.Option(help="File with a HOST:PORT of a proxy in each line.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port for REST and gRPC; 0 takes a free one (default: 8080).")
    ] = None,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Share the port with other gateways of this machine.")
    ] = False,
    everywhere: Annotated[
        bool, typer.Option("--files/--registry", help="Whether the proxies serve files, or a registry.")
    ] = True,
    home: Annotated[Path | None, typer.Option(help="Folder of what it keeps (default: ~/.shoal).")] = None,
    control: Annotated[
        str | None, typer.Option(help="URL of the control that a registry has (default: the one of the home).")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM); turns TLS on.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key (PEM).")] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen beyond loopback although nobody is authenticated.")
    ] = False,
    config: Config = None,
    ready_fd: ReadyFd = None,
    parent: Parent = None,
    tree: Tree = None,
    member: MemberName = "",
    log_level: LogLevel = "info",
) -> None:
    """Run a gateway: the port for REST and gRPC, in front of proxies."""
    settings = _prepared(
        log_level,
        parent,
        config,
        {
            "proxies_at": proxies_at,
            "directory": directory,
            "host": host,
            "port": port,
            "reuse_port": reuse_port or None,
            "home": home,
            "control": control,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "allow_remote": allow_remote or None,
        },
    )
    from shoal.node.roles.gateway import GatewayNode
    from shoal.node.running import run

    code = run(
        lambda: GatewayNode(settings, _place(tree, member), everywhere=everywhere),
        settings.grace_seconds,
        lambda role: _announce(role.url, "gateway", ready_fd, beating=tree is not None),
    )
    raise typer.Exit(code)


def proxy(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Model files, model folders, or folders full of them; none: what the registry knows."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Where to listen for gateways: unix:PATH, or HOST:PORT with certificates.")
    ] = None,
    operations: Annotated[str | None, typer.Option(help="HOST:PORT of its own for health and metrics.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes per model.")] = None,
    workers_at: Annotated[
        str | None,
        typer.Option(help="Where hosts of workers are: a folder of sockets, or HOST:PORT,HOST:PORT."),
    ] = None,
    workers_directory: Annotated[
        Path | None, typer.Option(help="File with a HOST:PORT of a host of workers in each line.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of what it keeps (default: ~/.shoal).")] = None,
    control: Annotated[
        str | None, typer.Option(help="URL of the control to follow (default: the one of the home).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What gateways and control call it; another for each (default: the host's name).")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load artifacts that can run code: pickles, Python models. Only your own!")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow changes of the files.")] = False,
    config: Config = None,
    ready_fd: ReadyFd = None,
    parent: Parent = None,
    tree: Tree = None,
    member: MemberName = "",
    log_level: LogLevel = "info",
) -> None:
    """Run a proxy: models, batches and workers, behind gateways."""
    settings = _prepared(
        log_level,
        parent,
        config,
        {
            "listen": listen,
            "operations": operations,
            "workers": workers,
            "workers_at": workers_at,
            "workers_directory": workers_directory,
            "home": home,
            "control": control,
            "name": name,
            "trust": trust or None,
            "watch": watch or None,
        },
    )
    from shoal.node.roles.proxy import ProxyNode
    from shoal.node.running import run

    code = run(
        lambda: ProxyNode(settings, paths or [], _place(tree, member)),
        settings.grace_seconds,
        lambda role: _announce(role.url, "proxy", ready_fd, beating=tree is not None),
    )
    raise typer.Exit(code)


def worker(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Model files, model folders, or folders full of them; none: what the registry knows."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Where to listen for proxies: unix:PATH, or HOST:PORT with certificates.")
    ] = None,
    operations: Annotated[str | None, typer.Option(help="HOST:PORT of its own for health and metrics.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes per model.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of what it keeps (default: ~/.shoal).")] = None,
    control: Annotated[
        str | None, typer.Option(help="URL of the control to ask (default: the one of the home).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What proxies call it; another for each (default: the host's name).")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load artifacts that can run code: pickles, Python models. Only your own!")
    ] = False,
    config: Config = None,
    ready_fd: ReadyFd = None,
    parent: Parent = None,
    log_level: LogLevel = "info",
) -> None:
    """Run a host of workers: processes that run models, for proxies elsewhere."""
    settings = _prepared(
        log_level,
        parent,
        config,
        {
            "listen": listen,
            "operations": operations,
            "workers": workers,
            "home": home,
            "control": control,
            "name": name,
            "trust": trust or None,
        },
    )
    from shoal.node.roles.worker import WorkerNode
    from shoal.node.running import run

    code = run(
        lambda: WorkerNode(settings, paths or []),
        settings.grace_seconds,
        lambda role: _announce(role.url, "worker", ready_fd, beating=False),
    )
    raise typer.Exit(code)


def register(app: typer.Typer) -> None:
    app.command(epilog=GATEWAY_EPILOG)(gateway)
    app.command(epilog=PROXY_EPILOG)(proxy)
    app.command(epilog=WORKER_EPILOG)(worker)


def _prepared(log_level: str, parent: int | None, config: Path | None, given: dict[str, object]) -> NodeSettings:
    """The settings, once the process logs, and ends with its parent."""
    import os

    from shoal.cli.console import set_up_logging
    from shoal.core.settings.node import load_node_settings
    from shoal.serving.worker.parent import die_with_parent

    set_up_logging(log_level)
    if parent is not None:
        die_with_parent(parent)
    return load_node_settings(config, os.environ, given)


def _place(tree: Path | None, member: str) -> Membership | None:
    from shoal.node.tree.plan import Membership

    return Membership(tree, member) if tree else None


def _announce(url: str, role: str, ready_fd: int | None, *, beating: bool) -> None:
    """Tell people, and the program that started us, that it is ready; and that program, from then on, that it turns."""
    import json
    import os

    from shoal.node.tree.beating import Beat

    if ready_fd is not None:
        os.write(ready_fd, json.dumps({"url": url}).encode() + b"\n")
        if beating:
            Beat(ready_fd)
        else:
            os.close(ready_fd)
    print(f"{role:<8} {url}", flush=True)
