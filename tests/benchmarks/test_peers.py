from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import models
from benchmarks.paths import REQUIREMENTS, SERVERS
from benchmarks.peers import OURS, PEERS, Setup, Site, Wire, base
from shoal.core._generated import shoal_inference_pb2 as messages

SITE = Site(Path("/env/bin/python"), Path("/models"), Path("/scratch"), 1001, 1002, 1003)


@pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))
def test_every_peer_has_exact_versions(peer: base.Peer) -> None:
    lines = (REQUIREMENTS / f"{peer.environment}.txt").read_text().split()
    assert lines
    assert all("==" in line for line in lines)


def test_every_server_script_exists() -> None:
    for name in ("mosec", "litserve", "ray"):
        command = PEERS[name].launch(Setup(), SITE).command
        assert Path(command[1]).parent == SERVERS
        assert Path(command[1]).exists()


def test_shoal_is_started_at_its_defaults() -> None:
    launch = OURS.launch(Setup("iris"), SITE)
    assert launch.command[1:2] == ("serve",)
    assert launch.command[3:] == ("--port", "1001", "--trust")
    assert not launch.environment


def test_shoal_has_one_port_for_all_protocols() -> None:
    for wire in (Wire.JSON, Wire.GRPC_RAW):
        request = OURS.request(Setup("iris"), wire, SITE)
        assert request is not None
        assert ":1001/" in request.url


def test_a_wire_that_a_peer_does_not_offer_is_none() -> None:
    assert PEERS["mosec"].request(Setup(), Wire.GRPC, SITE) is None


@given(st.dictionaries(st.text("ab"), st.dictionaries(st.text("cd"), st.integers())), st.binary())
def test_the_header_ends_where_its_json_ends(header: dict[str, dict[str, int]], tail: bytes) -> None:
    encoded = json.dumps(header).encode()
    assert base.header_length(encoded + tail) == len(encoded)


def test_no_json_has_no_header() -> None:
    with pytest.raises(ValueError, match="no JSON"):
        base.header_length(b"{")


@pytest.mark.parametrize("raw", [True, False])
def test_grpc_bodies_carry_the_row(raw: bool) -> None:
    array = models.arrays()["mlp"]
    framed = models.framed(models.infer_request("mlp", array, raw=raw))
    assert framed[0] == 0
    assert int.from_bytes(framed[1:5], "big") == len(framed) - 5
    request = messages.ModelInferRequest.FromString(framed[5:])
    sent = request.raw_input_contents[0] if raw else request.inputs[0].contents.fp32_contents
    assert (sent == array.tobytes()) if raw else (list(sent) == array.ravel().tolist())


def test_bodies_are_the_same_in_every_run() -> None:
    for name, array in models.arrays().items():
        assert (array == models.arrays()[name]).all()
