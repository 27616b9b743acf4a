"""The page of `service.yaml`: every field with type, default and meaning, overlays, and Merlin's file."""

from __future__ import annotations

from reference.markdown import block, page, table
from reference.model_settings import QUANTITIES, fields_of

from shoal.core.settings.service_checks import OF_OWN_WORKERS
from shoal.core.settings.services import parse_service_text, service_file_schema

EXAMPLE = """\
# service.yaml
name: churn
owner: team churn
links: {runbook: https://wiki.example/churn}
model: churn-model
stage: production
cpu: 500m
memory: 1Gi
timeout: 10s
latency_slo_ms: 50ms
variables:
  LEVEL: info
autoscaling:
  min_replicas: 1
  max_replicas: 4
  concurrency: 8
artifacts:
  - {model: churn-tokenizer, alias: 0.1.0, dest_path: tokenizer}
environments:
  staging:
    stage: staging
    variables: {LEVEL: debug}
    autoscaling: null
  production:
    cpu: 2
    autoscaling: {min_replicas: 3}
"""

INTRODUCTION = """\
A `service.yaml` describes one service: what answers it, and what that may use, in one or several environments. Only
`name` is required. A field that is not known, a value out of its bounds, or fields that do not go together are refused,
with the file's name, the line and what was meant.

For completion in an editor, put this line at the top of the file:

    # yaml-language-server: $schema=PATH/TO/docs/reference/service.schema.json
"""

SECTIONS = (
    ("gpu", "GpuFields"),
    ("device", "DeviceFields"),
    ("autoscaling", "AutoscalingFields"),
    ("limits", "RunLimitsFields"),
    ("cache", "CacheFields"),
    ("artifacts[]", "DownloadFields"),
)

BATCHING = """\
The fields of [`batching` in model.yaml](model-yaml.md#batching). Only what is said here is laid over the model's own; a
`preset` stands for its `policy`, `max_size` and `max_wait_ms`.
"""

OVERLAYS = """\
Each field may be said again for an environment, but for `name` and `namespace`. Mappings are merged, lists and values
replaced, and `null` takes a field back to its default. One of `version`, `stage` and `alias` ends the others, as do
`gpu` and `device`.
"""

RULES = (
    ("`version`, `stage`, `alias`", "one of them at most; by default `stage: production`"),
    ("`gpu`, `device`", "one of them at most; `memory` is a part of one card, so it goes with `count: 1`"),
    ("`replicas`", "within `autoscaling.min_replicas` and `max_replicas`; 0 only where those allow it"),
    ("`autoscaling`", "more than one worker needs a target; `gpu_percent` needs a card"),
    (
        "`placement: shared`",
        f"workers belong to others too: no {', '.join(f'`{name}`' for name in OF_OWN_WORKERS)}",
    ),
    ("`pool`, `pinned`", "only with `placement: shared`"),
    ("`latency_slo_ms`", "shorter than `timeout`"),
    ("`artifacts[].dest_path`", "none within another's"),
)

MERLIN = """\
A file with `merlin_project`, `service_name` or `serving_layer` is read as Merlin's. Its fields mean:
"""

MERLIN_FIELDS = (
    ("`merlin_project`", "`owner`, and the tag `merlin_project`"),
    ("`service_name`", "`name`"),
    ("`serving_layer`", "the tag `serving_layer`; `mlserver`, `triton` and `kserve` speak V2, as every service here"),
    ("`entrypoint`", "nothing, and that is told: the workers of a model are started by Shoal itself"),
    ("`num_replicas`", "`replicas`"),
    ("`cpu`, `memory`, `port`, `timeout`", "the same; callers use the node's port"),
    ("`gpu.count`, `gpu.type`", "`gpu`; none if the count is 0"),
    ("`env_vars`", "`variables`"),
    ("`auto_scaling.min_pod_replicas`, `max_pod_replicas`", "`autoscaling.min_replicas`, `max_replicas`"),
    ("`auto_scaling.gpu_utilization`, `cpu_utilization`", "`autoscaling.gpu_percent`, `cpu_percent`"),
    ("`artifacts`", "`artifacts`; each with `artifact` (its name) and the fields of a model below"),
    ("`comet.environment`", "the environment; by default `production`"),
    ("`comet.autodownload`", "`autodownload`"),
    ("`comet.models`", "`artifacts`; the first of them is also what the service answers with"),
    ("`workspace`, `model`", "`model: workspace/model`: a workspace is a namespace"),
    ("`version`", "`version` if it is a number, else `alias`, such as 0.1.0"),
    ("`stages`", "`stage`; one at most, in place of a version"),
    ("`dest_path`", "`dest_path`, below the service's own folder; by default the model's name"),
)


def make() -> str:
    """The page."""
    parse_service_text(EXAMPLE)
    schema = service_file_schema()
    parts = [INTRODUCTION, block(EXAMPLE, "yaml"), "## Fields", fields_of(schema)]
    for title, name in SECTIONS:
        kind = schema["$defs"][name]
        parts += [f"## `{title}`", kind["description"], fields_of(kind)]
        if name == "RunLimitsFields":
            parts += ["## `batching`", BATCHING]
    return page(
        "service.yaml",
        *parts,
        "## `environments`",
        OVERLAYS,
        "## What goes together",
        table(("fields", "rule"), RULES),
        "## Merlin's file",
        MERLIN,
        table(("field", "here"), MERLIN_FIELDS),
        "## Sizes, durations and processors",
        QUANTITIES + "Processors are a number, or thousandths with `m`: `2`, `0.5`, `500m`.",
    )
