"""The reference plane's worker: decodes the bodies of a batch, predicts once, encodes each answer."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import msgspec
import numpy as np

from shoal.core._generated import shoal_inference_pb2 as messages

Predict = Callable[[np.ndarray], np.ndarray]


class Tensor(msgspec.Struct):
    """A V2 JSON tensor; its data is decoded on its own."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw


class Request(msgspec.Struct):
    """A V2 JSON request."""

    inputs: list[Tensor]
    id: str | None = None


decode_request = msgspec.json.Decoder(Request).decode
decode_floats = msgspec.json.Decoder(list[float]).decode
encode_json = msgspec.json.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(list[bytes]).decode
encode_batch = msgspec.msgpack.Encoder().encode


def load(path: str) -> Predict:
    """A scikit-learn classifier, or an ONNX network on one thread."""
    if path.endswith(".joblib"):
        import joblib

        classifier = joblib.load(path)
        return lambda rows: classifier.predict(rows).astype(np.int64)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    return lambda rows: session.run(None, {name: rows})[0]


def decode(body: bytes) -> np.ndarray:
    """The input of one request; the first byte tells JSON from protobuf."""
    if body[:1] == b"J":
        tensor = decode_request(memoryview(body)[1:]).inputs[0]
        return np.array(decode_floats(tensor.data), dtype=np.float32).reshape(tensor.shape)
    request = messages.ModelInferRequest.FromString(body[1:])
    return np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tuple(request.inputs[0].shape))


def encode(body: bytes, answer: np.ndarray) -> bytes:
    """The answer in the request's own protocol."""
    kind = "INT64" if answer.dtype == np.int64 else "FP32"
    if body[:1] == b"J":
        output = {"name": "y", "shape": list(answer.shape), "datatype": kind, "data": answer.ravel().tolist()}
        return encode_json({"model_name": "m", "outputs": [output]})
    response = messages.ModelInferResponse(model_name="m")
    response.outputs.add(name="y", datatype=kind, shape=answer.shape)
    response.raw_output_contents.append(answer.tobytes())
    return response.SerializeToString()


def run(bodies: list[bytes], predict: Predict) -> list[bytes]:
    """The answers to a batch, in order."""
    rows = [decode(body) for body in bodies]
    answers = predict(np.concatenate(rows))
    encoded, at = [], 0
    for body, own in zip(bodies, rows, strict=True):
        encoded.append(encode(body, answers[at : at + len(own)]))
        at += len(own)
    return encoded


def main(descriptor: int, path: str) -> None:
    """Answers batches until the socket closes."""
    predict = load(path)
    with socket.socket(fileno=descriptor) as front, front.makefile("rb", 1 << 20) as stream:
        while head := stream.read(4):
            frame = encode_batch(run(decode_batch(stream.read(int.from_bytes(head, "little"))), predict))
            front.sendall(len(frame).to_bytes(4, "little") + frame)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
