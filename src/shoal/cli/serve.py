"""`shoal serve`: a folder of model files, or a registry, becomes an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """
Examples:

  shoal serve models/                       every model below models/, on http://127.0.0.1:8080
  shoal serve iris.joblib --trust           one scikit-learn pickle of your own
  shoal serve models/ --watch --workers 2   two workers per model; follow changes of the files
  shoal serve                               all that is pushed and deployed here, with a control on port 8081
  shoal serve --control http://ctl:8081     all that another control says
  shoal serve models/ --gateways 2 --proxies 2   split over processes, none of which is missed when it dies
"""


def serve(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Model files, model folders, or folders full of them; none: what the registry knows."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port for REST and gRPC; 0 takes a free one (default: 8080).")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes per model.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the node (shoal.yaml).")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the registry and of what a node keeps (default: ~/.shoal).")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="URL of the control to follow; without paths and this, one is started.")
    ] = None,
    control_port: Annotated[
        int | None, typer.Option(help="Port of the control that is started; 0 takes a free one (default: 8081).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What control calls this node (default: the host's name).")] = None,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="Gateway processes that share the port (default: one process does all).")
    ] = None,
    proxies: Annotated[
        int | None, typer.Option(min=1, help="Proxy processes, each with its own batches and workers.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load artifacts that can run code: pickles, Python models. Only your own!")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow changes of the files.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM); turns TLS on.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key (PEM).")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) whose certificates clients must show: mutual TLS.")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen beyond loopback although nobody is authenticated.")
    ] = False,
    ready_fd: Annotated[
        int | None, typer.Option(help="Write one JSON line to this descriptor once the models are there.", hidden=True)
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve models over REST and gRPC on one port."""
    import os
    from functools import partial

    from shoal.cli.console import announce, announce_split, set_up_logging
    from shoal.core.settings import safety
    from shoal.core.settings.node import judged_node_settings
    from shoal.node.running import run

    set_up_logging(log_level)
    flags = {"trust": trust or None, "watch": watch or None, "allow_remote": allow_remote or None}
    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "tls_client_ca": tls_client_ca,
        **flags,
    }
    given |= {"home": home, "control": control, "control_port": control_port, "name": name}
    given |= {"gateways": gateways, "proxies": proxies}
    settings, findings = judged_node_settings(config, os.environ, given)
    safety.enforce(findings)
    safety.warn(findings)
    if settings.is_split:
        from shoal.node.tree.tree import Tree

        tree, told = partial(Tree, settings, paths or []), partial(announce_split, ready_fd=ready_fd)
        raise typer.Exit(run(tree, settings.grace_seconds, told))
    from shoal.node.node import Node

    node = partial(Node, settings, paths or [])
    raise typer.Exit(run(node, settings.grace_seconds, partial(announce, ready_fd=ready_fd)))


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(serve)
