"""The server's own accounts, from its metrics, beside those of its callers: every request is in both, with the same outcome."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

COUNTED = re.compile(r'^shoal_(?:requests|refused)_total\{[^}]*?(?:outcome|code)="(\w+)"[^}]*\} (\S+)$', re.MULTILINE)
"""Requests that a model saw, by outcome, and those that were refused before, by code."""


def scrape(url: str) -> str:
    """The metrics of a server as text."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


def counted(text: str) -> Counter[str]:
    """How requests have ended, by what the server tells."""
    found: Counter[str] = Counter()
    for code, value in COUNTED.findall(text):
        found[code] += int(float(value))
    return found


def sum_of(text: str, name: str) -> float:
    """The sum of all series of a metric."""
    lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def differences(counted: Counter[str], told: Counter[str], untold: int) -> list[str]:
    """What is wrong with the accounts, in sentences.

    Args:
        counted: by the server, since the campaign's beginning.
        told: to the callers.
        untold: requests of which the callers do not know how, or whether, they were counted.
    """
    missing = told - counted
    surplus = (counted - told).total()
    found = [f"{count} requests ended with {code} and were not counted so" for code, count in sorted(missing.items())]
    if surplus > untold:
        found.append(f"{surplus} requests were counted that nobody asked, at most {untold} may be: {counted - told}")
    return found
