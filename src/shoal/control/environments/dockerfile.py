"""The text of a Dockerfile that makes an image of a bundle. Pure.

The image is the same for the same bundle and base: all that is installed comes from the bundle, by hash, with no
network. It holds no pip, runs as a user without rights, and has no weights unless the bundle has: models are mounted
at `/models`.
"""

from __future__ import annotations

PORT = 8080
USER = 10001

_TEMPLATE = """\
# syntax=docker/dockerfile:1
# Made by `shoal build`. The base must be Python {minor} for {platform}, named by its digest:
#   docker build {argument}-t {name} .
ARG BASE_IMAGE{base}

FROM ${{BASE_IMAGE}} AS build
ADD {bundle} /bundle/
RUN python -c "import sys; sys.exit(sys.version_info[:2] != ({major}, {minor_number}))" \\
 && python -m venv --without-pip /opt/shoal \\
 && export PIP_CONFIG_FILE=/dev/null PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/shoal/bin/python \\
 && python -m pip install --no-index --find-links /bundle/wheels --no-deps --only-binary :all: \\
      --require-hashes -r /bundle/requirements.lock \\
 && python -m pip check \\
 && mkdir -p /bundle/code /bundle/model /models \\
 && chmod -R a+rX,a-w /opt/shoal /bundle

FROM ${{BASE_IMAGE}}
LABEL shoal.bundle="sha256:{digest}" shoal.version="{shoal}" shoal.weights="{weights}"
ENV PATH=/opt/shoal/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=build /opt/shoal /opt/shoal
COPY --from=build /bundle/code /app
{models}
WORKDIR /app
USER {user}:{user}
EXPOSE {port}
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \\
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/v2/health/ready', timeout=2)"]
ENTRYPOINT ["shoal", "serve"]
CMD ["/models", "--host", "0.0.0.0", "--port", "{port}", "--allow-remote"]
"""


def dockerfile(
    *,
    name: str,
    bundle: str,
    digest: str,
    python: str,
    platform: str,
    shoal: str,
    with_model: bool,
    base_image: str = "",
) -> str:
    """The Dockerfile that stands beside a bundle.

    Args:
        name: the project's.
        bundle: the bundle's file name.
        digest: SHA-256 of the bundle.
        python, platform, shoal: see `locks.Target`.
        with_model: whether the bundle has the weights.
        base_image: what it starts from unless told otherwise; "" must be told at build.
    """
    minor = python.rpartition("-")[2]
    major, _, minor_number = minor.partition(".")
    weights = f"COPY --from=build /bundle/model /models/{name}" if with_model else "COPY --from=build /models /models"
    return _TEMPLATE.format(
        name=name,
        bundle=bundle,
        digest=digest,
        minor=minor,
        major=major,
        minor_number=minor_number,
        platform=platform,
        shoal=shoal,
        weights="included" if with_model else "none",
        models=weights,
        base=f"={base_image}" if base_image else "",
        argument="" if base_image else f"--build-arg BASE_IMAGE=python:{minor}-slim@sha256:... ",
        user=USER,
        port=PORT,
    )
