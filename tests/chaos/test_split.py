"""A server split over processes whose proxies and gateways are killed: who asks the others does not notice."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from chaos.harness.accounts import scrape, sum_of
from chaos.harness.campaign import Campaign, campaign
from chaos.harness.injectors import send, until
from chaos.harness.ledger import Ask
from chaos.harness.load import Traffic
from chaos.harness.models import paced, right
from chaos.harness.sizes import PATIENCE, size
from support.split import Parts

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

SPLIT = ["--gateways", "2", "--proxies", "2"]


def test_proxy_kills(tmp_path: Path) -> None:
    """SIGKILL to one of two proxies at random moments: no request fails."""
    paced(tmp_path, "paced", workers=1)
    with campaign("proxy_kills", tmp_path, arguments=SPLIT) as chaos:
        chaos.warm(right("paced"))
        with chaos.load(right("paced"), rate=100):
            killed(chaos, "proxy-1", "proxy-2")


def test_gateway_kills(tmp_path: Path) -> None:
    """SIGKILL to one of two gateways at random moments: only requests of its own connections are lost."""
    paced(tmp_path, "paced", workers=1)
    with campaign("gateway_kills", tmp_path, arguments=SPLIT) as chaos:
        chaos.warm(right("paced"))
        with chaos.load(or_lost(right("paced")), rate=100):
            killed(chaos, "gateway-1", "gateway-2")


def killed(chaos: Campaign, *members: str) -> None:
    """Kill one of these again and again, each time once all are there."""
    chaos.steady = chaos.accounted = False  # the dead take their counters with them
    parts, kills = Parts(chaos.node), size(2, 100)
    for _ in range(kills):
        time.sleep(chaos.random.uniform(0.0, 0.3))
        member = chaos.random.choice(members)
        dead = parts.pid(member)
        send(dead, signal.SIGKILL)
        until(lambda member=member, dead=dead: parts.pid(member) not in (0, dead))
        until(lambda: whole(chaos))
    chaos.figures["kills"] = kills


def whole(chaos: Campaign) -> bool:
    """Whether both gateways and both proxies are there, with a worker each."""
    text = scrape(chaos.node.url)
    return sum_of(text, "shoal_process_up") >= 4 and sum_of(text, "shoal_workers_ready") >= 2


def or_lost(traffic: Traffic) -> Traffic:
    """The same, but a request may be lost with its connection."""

    def ask(number: int, random: Random) -> Ask:
        made = traffic(number, random)
        return replace(made, outcomes=made.outcomes | {"lost"})

    return ask
