"""The child's side of a full-custom app: an ASGI app of the user's, served by uvicorn on a Unix socket.

    python -m shoal.serving.worker.app --socket PATH --folder FOLDER [--confined] module:app

It ends with its parent. Health and metrics of the node stay the node's; the app sees only what comes below its mount.
"""

from __future__ import annotations

import argparse
import sys

from shoal.serving.worker.parent import die_with_parent


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--confined", action="store_true", help="apply the plan that standard input holds")
    given = parser.parse_args()
    die_with_parent()
    if given.confined:
        from shoal.serving.worker.confinement.starting import confined_as_told

        confined_as_told()
    try:
        import uvicorn
    except ModuleNotFoundError:
        sys.exit("a full-custom app needs uvicorn: pip install 'shoal[app]'")
    uvicorn.run(given.app, uds=given.socket, app_dir=given.folder, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
