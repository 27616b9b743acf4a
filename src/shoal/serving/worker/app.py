"""The child's side of a full-custom app: an ASGI app of the user's, served by uvicorn on a Unix socket.

    python -m shoal.serving.worker.app --socket PATH --listening-fd FD --folder FOLDER [--confined] module:app

It makes the socket first, then gives up its rights, then imports the app; once that listens, it says so on FD. It ends
with its parent. Health and metrics of the node stay the node's; the app sees only what comes below its mount.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys

from shoal.serving.worker.parent import die_with_parent

NOT_STARTED = 3


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--listening-fd", type=int, required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--confined", action="store_true", help="apply the plan that standard input holds")
    given = parser.parse_args()
    die_with_parent()
    os.set_inheritable(given.listening_fd, False)
    listener = _bound(given.socket)
    if given.confined:
        from shoal.serving.worker.confinement.applying import confined_as_told

        confined_as_told()
    sys.path.insert(0, given.folder)
    _serve(given.app, listener, given.listening_fd)


def _bound(path: str) -> socket.socket:
    """A socket that nobody listens on yet, for this user alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    return listener


def _serve(app: str, listener: socket.socket, listening: int) -> None:
    try:
        import uvicorn
    except ModuleNotFoundError:
        sys.exit("a full-custom app needs uvicorn: pip install 'shoal[app]'")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            os.write(listening, b"\n")
            os.close(listening)

    server = Server(uvicorn.Config(app, access_log=False, log_level="warning"))
    server.run([listener])
    if not server.started:
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
