"""The licence of a package as its metadata tells it, in the words of CycloneDX.

Newer packages tell an SPDX expression. Of older ones the first that says something counts: a short text, or the
classifiers. What is no SPDX identifier for certain (`BSD`) is told by the name that the package gives it.
"""

from __future__ import annotations

from email.message import Message
from typing import Any

SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
"""Identifiers by what packages write; what is one itself is there, too."""
SPDX |= {each.lower(): each for each in (*SPDX.values(), "BSD-2-Clause", "BSD-3-Clause", "PSF-2.0", "CC0-1.0")}
LONGEST = 80
"""Characters of a text that is a licence's name; longer ones are the licence itself."""


def licences_of(told: Any) -> list[dict[str, Any]]:
    """What `licenses` of a component says; [] if the package tells nothing.

    Args:
        told: the metadata of a package (`importlib.metadata.metadata`).
    """
    assert isinstance(told, Message)
    expression = told["License-Expression"]
    text = " ".join((told["License"] or "").split())
    if not expression and (" OR " in text or " AND " in text) and len(text) <= LONGEST:
        expression = text
    if expression:
        return [{"expression": expression}]
    if text and len(text) <= LONGEST and text != "UNKNOWN":
        return [_named(text)]
    classified = [each.rpartition(" :: ")[2] for each in told.get_all("Classifier") or () if _is_licence(each)]
    return [_named(each) for each in classified]


def _is_licence(classifier: str) -> bool:
    return classifier.startswith("License :: OSI Approved :: ")


def _named(text: str) -> dict[str, Any]:
    known = SPDX.get(text.lower())
    return {"license": {"id": known} if known else {"name": text}}
