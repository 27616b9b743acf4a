"""`AsyncClient`: calls models over one connection. The one implementation; `sync.Client` is a thin shell around it."""

from __future__ import annotations

import os
import ssl
from types import TracebackType
from typing import Any, TypeVar, overload

import numpy.typing as npt

from shoal.client import inputs as convert
from shoal.client.address import DEFAULT_URL, Address, Tls, parse_url
from shoal.client.caller import Caller
from shoal.client.channel import Http2Channel
from shoal.client.grpc import GrpcDialect
from shoal.client.operations import Dialect, Headers, ModelEntry, Operation, ServerMetadata, Statistics
from shoal.client.rest import RestDialect
from shoal.client.retry import Retries
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.types import (
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    Parameters,
    RequestedOutput,
    Signature,
    Tensor,
)

T = TypeVar("T")
Array = npt.NDArray[Any]

_SIGNATURES = 1024
KEY = "SHOAL_API_KEY"
"""The environment variable with the key that is used where none is given."""


class AsyncClient:
    """A client of all models at one address, over one persistent HTTP/2 connection.

    It connects with the first call, and again whenever the connection was lost. Use it from one event loop; close it,
    or use it with ``async with``.

    Args:
        url: such as ``http://127.0.0.1:8080``; ``https://`` for TLS.
        protocol: ``rest`` or ``grpc``; the answers are the same.
        timeout: seconds that a call may take, retries included, unless it says otherwise.
        key: an API key or a token, sent as ``authorization: Bearer``; by default that of `SHOAL_API_KEY`, if set.
        tls: certificates, for ``https://``; a ready `ssl.SSLContext` must offer ALPN ``h2``.
        retries: how often a call is tried again when that is safe; `Retries` tells what safe means. 0: never.

    Raises:
        ConfigError: an argument is wrong.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        protocol: str = "rest",
        timeout: float = 60.0,
        key: str | None = None,
        tls: Tls | ssl.SSLContext | None = None,
        retries: int | Retries = 2,
    ) -> None:
        address = parse_url(url)
        self._dialect = _dialect(protocol, address)
        self._timeout = timeout
        self._channel = Http2Channel(
            address, fixed=_fixed_headers(os.environ.get(KEY) if key is None else key), tls=tls
        )
        policy = Retries(attempts=retries) if isinstance(retries, int) else retries
        self._caller = Caller(self._channel, self._dialect.headers, policy)
        self._signatures: dict[tuple[str, str], Signature] = {}

    # Predictions

    async def infer(
        self,
        model: str,
        inputs: Any,
        *,
        version: str | int | None = None,
        outputs: list[str] | None = None,
        id: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        binary: bool = True,
        pure: bool = True,
    ) -> InferenceResponse:
        """One V2 inference.

        Args:
            model: its name.
            inputs: an array, list or data frame for the model's only input, a list of strings, a mapping from input
                name to such values, or a list of `Tensor`.
            version: None lets the server choose.
            outputs: names of the outputs to return; None: all.
            id: comes back in the response.
            parameters: V2 parameters, such as `priority`.
            timeout: seconds, instead of the client's own; the server is told.
            binary: send and ask for tensors as bytes instead of JSON (or typed) numbers.
            pure: whether the call may run again when its connection was lost or the server sheds load.

        Returns:
            Its outputs hold NumPy arrays.

        Raises:
            InvalidInput: the inputs do not fit.
            NotFound: no such model or version.
            DeadlineExceeded: the time is over.
            Unavailable: the server cannot be reached, sheds load, or the model is not ready.
            ShoalError: anything else that the server says.
        """
        limit = self._limit(timeout)
        started = monotonic()
        request = InferenceRequest(
            await self._tensors(model, version, inputs, limit),
            id=id,
            parameters=parameters,
            outputs=None if outputs is None else [RequestedOutput(name) for name in outputs],
            model_name=model,
            model_version=_text(version) or None,
        )
        operation = self._dialect.infer(request, timeout=limit, binary=binary, pure=pure)
        try:
            return await self._caller.call(operation, limit, spent=monotonic() - started)
        except InvalidInput:
            self._signatures.pop((model, _text(version)), None)
            raise

    async def predict(
        self, model: str, inputs: Any, *, version: str | int | None = None, timeout: float | None = None
    ) -> Array | dict[str, Array]:
        """Array or data frame in, array out; a mapping from name to array for a model of several outputs.

        Text comes back as `str`. Arguments and errors are those of `infer`.
        """
        response = await self.infer(model, inputs, version=version, timeout=timeout)
        return convert.simplest(convert.to_arrays(response))

    async def predict_all(
        self, model: str, inputs: list[str], *, version: str | int | None = None, timeout: float | None = None
    ) -> list[str]:
        """Strings in, as many strings out, in order.

        Raises:
            PartialFailure: some of several items failed; it holds the answers of the others.
            ShoalError: as `infer`.
        """
        limit = self._limit(timeout)
        operation = self._dialect.predict_all(model, _text(version), list(inputs), timeout=limit, pure=True)
        return await self._caller.call(operation, limit)

    async def prepare(
        self, model: str, inputs: Any, *, version: str | int | None = None, binary: bool = True
    ) -> Operation[None]:
        """An inference that is encoded once, to be sent many times with `send`; of the answers only errors are read.

        For load tests: encoding and decoding are not what they measure.
        """
        tensors = await self._tensors(model, version, inputs, self._timeout)
        request = InferenceRequest(tensors, model_name=model, model_version=_text(version) or None)
        operation = self._dialect.infer(request, timeout=self._timeout, binary=binary, pure=True)
        return Operation(operation.outgoing, self._dialect.check)

    async def send(self, operation: Operation[T], *, timeout: float | None = None) -> T:
        """Run a prepared operation."""
        return await self._caller.call(operation, self._limit(timeout))

    # The server and its models

    async def live(self) -> bool:
        """Whether the server answers."""
        return await self.send(self._dialect.live())

    async def ready(self, model: str | None = None, *, version: str | int | None = None) -> bool:
        """Whether the server, or a model, is ready to predict.

        Raises:
            NotFound: no such model.
        """
        return await self.send(self._dialect.ready(model or "", _text(version)))

    @overload
    async def metadata(self, model: None = None) -> ServerMetadata: ...

    @overload
    async def metadata(self, model: str, *, version: str | int | None = None) -> ModelMetadata: ...

    async def metadata(
        self, model: str | None = None, *, version: str | int | None = None
    ) -> ServerMetadata | ModelMetadata:
        """What the server says about itself, or about a model: versions, platform, signature."""
        if model is None:
            return await self.send(self._dialect.server_metadata())
        return await self.send(self._dialect.metadata(model, _text(version)))

    async def models(self) -> list[ModelEntry]:
        """All models of the server's repository with their states."""
        return await self.send(self._dialect.index())

    async def load(self, model: str, *, config: str | None = None, timeout: float | None = None) -> None:
        """Load a model, or load it again; returns when it is ready.

        Args:
            model: a name that the repository knows.
            config: JSON text that overrides fields of its `model.yaml`.
            timeout: seconds.
        """
        self._forget(model)
        await self.send(self._dialect.load(model, config), timeout=timeout)

    async def unload(self, model: str, *, timeout: float | None = None) -> None:
        """Drain and stop a model."""
        self._forget(model)
        await self.send(self._dialect.unload(model), timeout=timeout)

    async def statistics(self, model: str | None = None, *, version: str | int | None = None) -> Statistics:
        """V2 statistics of a model, or of all: one record per version."""
        return await self.send(self._dialect.statistics(model or "", _text(version)))

    async def example(self, model: str) -> bytes | None:
        """The example request (V2 JSON) of the server's own documentation of a model, or None. REST only."""
        return await self.send(self._dialect.example(model)) if isinstance(self._dialect, RestDialect) else None

    async def signature(
        self, model: str, version: str | int | None = None, *, timeout: float | None = None
    ) -> Signature:
        """Names, dtypes and shapes of a model's tensors, asked for once."""
        key = (model, _text(version))
        if key not in self._signatures:
            metadata = await self.send(self._dialect.metadata(*key), timeout=timeout)
            if len(self._signatures) >= _SIGNATURES:
                self._signatures.clear()
            self._signatures[key] = metadata.signature
        return self._signatures[key]

    # Life

    async def close(self) -> None:
        """Close the connection; calls under way fail, later ones are refused."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Inside

    async def _tensors(self, model: str, version: str | int | None, inputs: Any, limit: float) -> list[Tensor]:
        known = Signature()
        if convert.needs_signature(inputs):
            known = await self.signature(model, version, timeout=limit)
        return convert.to_tensors(inputs, known)

    def _limit(self, timeout: float | None) -> float:
        limit = self._timeout if timeout is None else timeout
        if not limit > 0:
            raise ConfigError(f"a timeout of {limit} seconds leaves no time", hint="give a positive number")
        return limit

    def _forget(self, model: str) -> None:
        self._signatures = {key: value for key, value in self._signatures.items() if key[0] != model}


def _dialect(protocol: str, address: Address) -> Dialect:
    if protocol == "rest":
        return RestDialect(address.prefix)
    if protocol != "grpc":
        raise ConfigError(f"protocol {protocol!r} is not known", hint="it is rest or grpc")
    if address.prefix:
        raise ConfigError(f"gRPC knows no paths: {address}", hint="leave the path out of the URL")
    return GrpcDialect()


def _fixed_headers(key: str | None) -> Headers:
    if not key:
        return ()
    if not key.isascii() or not key.isprintable():
        raise ConfigError("the key holds characters that cannot be sent")
    return ((b"authorization", b"Bearer " + key.encode()),)


def _text(version: str | int | None) -> str:
    return "" if version is None else str(version)
