"""Mutual TLS of a whole node: over REST and gRPC, split over processes or not."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc
import httpx
import pytest

from shoal.testing.node import serve
from support.certificates import Certificates

INFER = "/inference.GRPCInferenceService/ModelInfer"


AUTH = "auth:\n  certificates:\n    batch.example: [{permissions: [caller], model: shout}]\n"


@pytest.mark.process
@pytest.mark.parametrize("split", [(), ("--gateways", "2", "--proxies", "1")], ids=["one process", "split"])
def test_certificates_are_asked_for_and_stand_for_somebody(tmp_path: Path, split: tuple[str, ...]) -> None:
    own = Certificates(tmp_path)
    certificate, key = own.issue()
    models = tmp_path / "models" / "shout"
    models.mkdir(parents=True)
    (models / "model.py").write_text("class Shout:\n    def predict_all(self, inputs):\n        return inputs\n")
    (tmp_path / "shoal.yaml").write_text(AUTH)
    words = [
        "--tls-cert",
        certificate,
        "--tls-key",
        key,
        "--tls-client-ca",
        own.ca,
        "--config",
        tmp_path / "shoal.yaml",
    ]
    batch, other = own.issue("batch", "batch.example"), own.issue("other", "other.example")
    with serve(models.parent, arguments=[*map(str, words), *split]) as node:
        url = f"{node.url}/v2/models/shout/predict_all"
        for _ in range(3):  # whichever gateway it comes to
            assert _asked(url, own.client(batch)) == 200
            assert _asked(url, own.client(other)) == 401
            assert _asked(url, own.client()) == 0
        assert _called(node.port, own, batch) is grpc.StatusCode.INVALID_ARGUMENT  # it is let in, and says nothing
        assert _called(node.port, own, other) is grpc.StatusCode.UNAUTHENTICATED
        assert _called(node.port, own, None) is grpc.StatusCode.UNAVAILABLE


def _asked(url: str, context: ssl.SSLContext) -> int:
    """The status; 0 if there was no answer."""
    try:
        with httpx.Client(verify=context) as client:
            return client.post(url, json={"inputs": ["a"]}).status_code
    except httpx.TransportError:
        return 0


def _called(port: int, own: Certificates, pair: tuple[Path, Path] | None) -> grpc.StatusCode:
    shown = [None, None] if pair is None else [pair[1].read_bytes(), pair[0].read_bytes()]
    credentials = grpc.ssl_channel_credentials(own.ca.read_bytes(), *shown)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(INFER)(b"", timeout=20)
        return caught.value.code()
