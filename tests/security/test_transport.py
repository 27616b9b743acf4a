"""Mutual TLS of a whole node: over REST and gRPC, split over processes or not."""

from __future__ import annotations

from pathlib import Path

import grpc
import httpx
import pytest

from shoal.testing.node import serve
from support.certificates import Certificates

LIVE = "/inference.GRPCInferenceService/ServerLive"


@pytest.mark.process
@pytest.mark.parametrize("split", [(), ("--gateways", "2", "--proxies", "1")], ids=["one process", "split"])
def test_nobody_without_a_certificate_is_answered(tmp_path: Path, split: tuple[str, ...]) -> None:
    own = Certificates(tmp_path)
    certificate, key = own.issue()
    models = tmp_path / "models" / "shout"
    models.mkdir(parents=True)
    (models / "model.py").write_text("class Shout:\n    def predict_all(self, inputs):\n        return inputs\n")
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(own.ca)]
    mine = own.issue("mine", "batch.example")
    with serve(models.parent, arguments=[*tls, *split]) as node:
        assert node.url.startswith("https://")
        url = f"{node.url}/v2/models/shout/predict_all"
        with httpx.Client(verify=own.client(mine)) as client:
            assert client.post(url, json={"inputs": ["a"]}).json()["outputs"] == ["a"]
        for _ in range(4):  # whichever gateway it comes to
            with httpx.Client(verify=own.client()) as client, pytest.raises(httpx.TransportError):
                client.post(url, json={"inputs": ["a"]})
        trust, (chain, secret) = own.ca.read_bytes(), (path.read_bytes() for path in mine)
        for credentials, answered in (
            (grpc.ssl_channel_credentials(trust, secret, chain), True),
            (grpc.ssl_channel_credentials(trust), False),
        ):
            with grpc.secure_channel(f"127.0.0.1:{node.port}", credentials) as channel:
                live = channel.unary_unary(LIVE)
                if answered:
                    assert live(b"", timeout=20)
                else:
                    with pytest.raises(grpc.RpcError):
                        live(b"", timeout=20)
