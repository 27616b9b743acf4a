"""Settings files: YAML in, validated values out, every wrong field named with its line.

documents    text -> values and where each stands, within bounds
quantities   `512Mi`, `20ms`
schema       the fields of `model.yaml`, each with its description and bounds
complaints   what is wrong, as `model.yaml:12: batching.max_size: ...`
models       a file -> `ModelSpec`

service_schema, service_checks   the fields of `service.yaml`, and what they must be to each other
overlays                         one environment laid over the rest of a file
merlin                           Merlin's service file in the words of ours
services, service_values         a file -> a `Service` for each environment
"""

from shoal.core.settings.foreign import load_model_settings
from shoal.core.settings.models import load_model_file, model_file_schema, parse_model_file
from shoal.core.settings.schema import ModelFile

__all__ = ["ModelFile", "load_model_file", "load_model_settings", "model_file_schema", "parse_model_file"]
