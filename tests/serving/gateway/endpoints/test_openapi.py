import json
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from shoal.core.types import Signature, TensorSpec
from shoal.serving.gateway.endpoints import openapi
from support.gateway_fakes import EXAMPLE, Gateway, default_handles, handle

WIDE = Signature(
    (TensorSpec("image", "FP32", (-1, 3, 224, 224)), TensorSpec("mask", "BOOL", (-1, 4))),
    (TensorSpec("label", "BYTES", (-1,)), TensorSpec("score", "FP16", (-1, 2))),
)


def documents() -> dict[str, Any]:
    served = Gateway(*default_handles(), handle("wide", signature=WIDE), handle("unknown", signature=Signature()))
    names = ("iris", "digits", "shout", "wide", "unknown", "digits/versions/1")
    targets = ["/openapi.json", *(f"/v2/models/{name}/openapi.json" for name in names)]
    return {target: served.get(target).json() for target in targets}


@pytest.mark.parametrize("target", list(documents()))
def test_documents_are_valid_for_new_and_old_viewers(target: str) -> None:
    document = documents()[target]
    OpenAPIV31SpecValidator(document).validate()
    OpenAPIV30SpecValidator({**document, "openapi": "3.0.3"}).validate()


def test_a_document_has_the_real_names_and_the_example_that_works() -> None:
    document = documents()["/v2/models/iris/openapi.json"]
    body = document["paths"]["/v2/models/iris/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == json.loads(EXAMPLE)
    tensor = body["schema"]["properties"]["inputs"]["items"]
    assert tensor["properties"]["name"]["example"] == "input-0"
    assert tensor["properties"]["datatype"]["example"] == "FP32"
    assert tensor["properties"]["shape"]["example"] == [1, 4]
    assert "/v2/models/iris/predict_all" not in document["paths"]


def test_every_example_fits_its_schema_and_is_answered() -> None:
    served = Gateway(*default_handles())
    document = served.get("/openapi.json").json()
    tried = 0
    for path, methods in document["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        schema = {**content["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, content["example"])
        answer = served.post(path, json.dumps(content["example"]))
        assert answer.status == 200
        jsonschema_rs.validate(
            {
                **methods["post"]["responses"]["200"]["content"]["application/json"]["schema"],
                "components": document["components"],
            },
            answer.json(),
        )
        tried += 1
    assert tried == 4


def test_text_models_show_the_plain_route_and_versions_their_own_paths() -> None:
    found = documents()
    assert "/v2/models/shout/predict_all" in found["/v2/models/shout/openapi.json"]["paths"]
    assert "/v2/models/digits/versions/1/infer" in found["/v2/models/digits/versions/1/openapi.json"]["paths"]


def test_an_example_is_made_up_only_where_it_is_small() -> None:
    assert openapi.example(handle("wide", signature=WIDE)) is None
    assert openapi.example(handle("unknown", signature=Signature())) is None
    assert openapi.example(handle("odd", example="not JSON")) == {
        "inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP32", "data": [0.0] * 4}]
    }


def test_a_node_with_very_many_models_shows_some() -> None:
    document = openapi.node([handle(f"m{number}") for number in range(openapi.MAX_MODELS + 50)])
    assert len(document["tags"]) == openapi.MAX_MODELS
