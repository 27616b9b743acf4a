"""The servers that are compared, by name."""

from __future__ import annotations

from benchmarks.peers.base import Launch, Peer, Setup, Site, Wire
from benchmarks.peers.bentoml import BentoML
from benchmarks.peers.fastapi import FastApi
from benchmarks.peers.mlflow import MLflow
from benchmarks.peers.scripted import LITSERVE, MOSEC, RAY
from benchmarks.peers.shoal import ReferencePlane, Shoal
from benchmarks.peers.v2 import KServe, MLServer, PyTriton

OURS: Peer = Shoal()
REFERENCE: Peer = ReferencePlane()
PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (FastApi(), MOSEC, MLServer(), PyTriton(), LITSERVE, KServe(), BentoML(), MLflow(), RAY)
}

__all__ = ["OURS", "PEERS", "REFERENCE", "Launch", "Peer", "Setup", "Shoal", "Site", "Wire"]
