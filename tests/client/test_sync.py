"""The shell without `await`."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shoal.client import AsyncClient, Client, Tensor
from shoal.core.errors import Cancelled
from shoal.core.types import InferenceResponse
from shoal.core.wire import v2_json
from support.h2_server import Answer, H2Server, Request, in_thread


async def echoing(request: Request) -> Answer:
    if not request.body:
        return Answer(body=b"{}")
    inference = v2_json.decode_request(request.body)
    return Answer(body=v2_json.encode_response(InferenceResponse(inference.inputs, "m")))


@pytest.fixture
def server() -> Iterator[H2Server]:
    with in_thread(H2Server(echoing)) as running:
        yield running


def clients() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "shoal-client"]


def test_eight_threads_share_one_client_and_its_connection(server: H2Server) -> None:
    with Client(server.url) as client, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> int:
            response = client.infer("m", [Tensor("x", [1], "INT64", np.array([number]))], binary=False)
            return int(response.outputs[0].as_numpy()[0])

        assert list(pool.map(ask, range(200))) == list(range(200))
        assert len(server.peers) == 1
    assert clients() == []


def test_a_closed_client_says_so_and_may_be_closed_twice(server: H2Server) -> None:
    client = Client(server.url)
    client.close()
    client.close()
    with pytest.raises(Cancelled, match="is closed"):
        client.live()


def test_a_client_that_nobody_holds_ends_its_thread(server: H2Server) -> None:
    client = Client(server.url)
    assert client.live()
    [thread] = clients()
    del client
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_both_clients_offer_the_same_calls() -> None:
    def calls(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert calls(Client) <= calls(AsyncClient)
    assert calls(AsyncClient) - calls(Client) == {"prepare", "send", "example", "signature"}
