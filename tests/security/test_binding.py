"""What a node with default settings can be reached at: this machine alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from shoal.testing.node import RunningNode
from support.processes import tree

LISTEN = "0A"
LOOPBACK = re.compile(r"(0100007F|0{24}01000000|0{16}FFFF00000100007F):")


def listening(pids: list[int]) -> list[str]:
    """The addresses that these processes listen on, as the kernel writes them."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                inodes.add(match[1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in inodes:
                found.append(fields[1])
    return found


@pytest.mark.process
def test_all_ports_of_a_node_are_on_loopback(node: RunningNode) -> None:
    found = listening(tree(node.process.pid))
    assert f":{node.port:04X}" in "".join(found)
    assert [address for address in found if not LOOPBACK.match(address)] == []
