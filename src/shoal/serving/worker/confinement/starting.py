"""Takes the plan from standard input, where the parent has put it, and goes by it; for every program of a worker's."""

from __future__ import annotations

import os
import sys

from shoal.core.confinement import NOT_CONFINED, decode_plan
from shoal.serving.worker.confinement.applying import Refused, confine
from shoal.serving.worker.parent import die_with_parent

PIECE = 64 * 1024


def confined_as_told() -> dict[str, str]:
    """Apply the plan; what could not be had, and why. Standard input is empty from then on.

    The process ends here if it must not run without what it could not have.
    """
    plan = decode_plan(_standard_input())
    try:
        missing = confine(plan)
    except Refused as error:
        sys.stderr.write(f"not started, as confinement is strict and cannot be had: {error}\n")
        sys.exit(NOT_CONFINED)
    die_with_parent()  # again: who changes user loses the wish
    return missing


def _standard_input() -> bytes:
    data = bytearray()
    while piece := os.read(0, PIECE):
        data += piece
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return bytes(data)
