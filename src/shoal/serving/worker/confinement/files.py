"""Which files a worker needs, whatever model it runs: system libraries, its interpreter, a few devices.

Of ``/etc`` only what libraries look up there, as it holds passwords, too. ``/proc`` is there as a whole: what it tells
of other processes beyond their names is kept from a worker by Landlock and by their users. ``/dev/shm`` is what
semaphores are made of; without it joblib computes with one thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

from shoal.core.confinement import Plan
from shoal.serving.worker.confinement.landlock import CHANGE, OWN, READ, RUN, USE, Allowed

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store")
FACTS = (
    "/proc", "/sys/bus", "/sys/class", "/sys/devices", "/sys/fs/cgroup", "/sys/kernel/mm", "/sys/module",
)  # fmt: skip
"""What is asked for the number of processors, the memory, cards."""
ETC = (
    "alternatives", "ca-certificates", "fonts", "gai.conf", "group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "ld.so.preload", "locale.alias", "localtime", "mime.types", "nsswitch.conf", "OpenCL", "os-release",
    "passwd", "pki/ca-trust", "pki/tls/cert.pem", "pki/tls/certs", "protocols", "resolv.conf", "services", "ssl/certs",
    "ssl/cert.pem", "ssl/openssl.cnf", "timezone", "vulkan",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
CARDS = ("nvidia", "dri", "kfd", "accel", "neuron")
"""How the names of accelerators begin below ``/dev``; a worker that was lent none is told so by its environment."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108
CACHES = ("HF_HUB_CACHE", "TORCH_HOME", "KERAS_HOME", "NLTK_DATA", "SENTENCE_TRANSFORMERS_HOME", "SSL_CERT_FILE")
"""Variables that name files and folders to read, if the worker was given them."""


def allowed(plan: Plan, environment: Mapping[str, str], path: list[str]) -> list[Allowed]:
    """All that a worker may open.

    Args:
        plan: what its model needs beside that.
        environment: its variables.
        path: the interpreter's `sys.path`; its first entry may be the folder that the node was started in.
    """
    rights = [
        *((each, RUN) for each in (*SYSTEM, *interpreter(path), *_libraries(environment))),
        *((each, READ) for each in (*FACTS, *(f"/etc/{name}" for name in ETC))),
        *((each, READ) for each in (*plan.readable, *_named(environment))),
        *((each, USE) for each in DEVICES),
        *((f"/dev/{each}", USE) for each in os.listdir("/dev") if each.startswith(CARDS)),
        *((each, OWN) for each in (plan.folder, *plan.writable)),
    ]
    if not plan.strict:
        rights.append((SHARED_MEMORY, CHANGE))
    return [Allowed(path, right) for path, right in rights]


def interpreter(path: list[str]) -> list[str]:
    """Where Python and its packages are; the folder that the node was started in is not, unless it is named."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["shoal"].__file__ or "")))
    started_in = os.getcwd()
    first, *rest = path or [""]
    entries = rest if first in ("", started_in) else path
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, own)
    return list(dict.fromkeys(each for each in (*prefixes, *entries) if each and os.path.isabs(each)))


def _libraries(environment: Mapping[str, str]) -> list[str]:
    return [each for each in environment.get("LD_LIBRARY_PATH", "").split(":") if os.path.isabs(each)]


def _named(environment: Mapping[str, str]) -> Iterator[str]:
    for name in CACHES:
        yield from (each for each in environment.get(name, "").split(":") if os.path.isabs(each))
    if os.path.isabs(home := environment.get("HF_HOME", "")):
        yield os.path.join(home, "hub")
