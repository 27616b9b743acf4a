from __future__ import annotations

import os

from benchmarks.accounting import (
    TICKS,
    Memory,
    Process,
    cpu_seconds,
    free_ports,
    listening_inodes,
    memory,
    parse_rollup,
    parse_stat,
    processes,
    tree,
)

STAT = "42 (a (b) c) S 7 40 41 0 -1 4194304 100 200 0 0 {} {} {} {} 20 0 1 0 1000 0 0"
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_stat_is_read_in_spite_of_parentheses_in_the_name() -> None:
    process = parse_stat(42, STAT.format(TICKS, TICKS, TICKS, TICKS))
    assert process == Process(42, parent=7, session=41, cpu_seconds=4.0, state="S")


def table(*entries: tuple[int, int, int]) -> dict[int, Process]:
    return {pid: Process(pid, parent, session, 1.0, "S") for pid, parent, session in entries}


def test_the_tree_holds_descendants_and_daemons_of_their_sessions_only() -> None:
    machine = table((1, 0, 1), (10, 1, 10), (11, 10, 10), (12, 11, 12), (13, 1, 12), (20, 1, 20))
    assert tree(10, machine) == {10, 11, 12, 13}
    assert cpu_seconds(tree(10, machine), machine) == 4.0


def test_the_own_session_is_not_followed() -> None:
    machine = table((5, 1, 5), (10, 5, 5), (11, 10, 5), (6, 5, 5))
    assert tree(10, machine, outside={5}) == {10, 11}


def test_a_server_that_has_ended_has_no_processes() -> None:
    assert tree(10, table((1, 0, 1))) == set()


def test_rollup_is_in_mib() -> None:
    text = "00400000-7fff rollup\nRss:    2048 kB\nPss:    1024 kB\nPss_Anon:  1 kB\nAnonymous: 512 kB\n"
    assert parse_rollup(text) == Memory(2.0, 1.0, 0.5)
    assert parse_rollup(text) + parse_rollup(text) == Memory(4.0, 2.0, 1.0)


def test_listening_sockets_of_a_port_are_found() -> None:
    assert listening_inodes(TCP, 0x1F90) == {"4711"}


def test_this_process_is_seen() -> None:
    assert os.getpid() in processes()
    own = memory([os.getpid()])
    assert own.rss >= own.pss > 1
    assert own.rss >= own.anonymous > 1


def test_free_ports_differ() -> None:
    assert len(set(free_ports(3))) == 3
