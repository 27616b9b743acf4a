from google.protobuf import descriptor_pb2, descriptor_pool

from shoal.core._generated import shoal_reflection_pb2 as pb
from support.gateway_fakes import Gateway

PATHS = [f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")]


def ask(*requests: pb.ServerReflectionRequest, path: str = PATHS[0]) -> list[pb.ServerReflectionResponse]:
    rpc, stream = Gateway().stream(path)
    for request in requests:
        stream.on_message(request.SerializeToString())
    stream.on_end()
    assert rpc.ended == 1
    return [pb.ServerReflectionResponse.FromString(message) for message in rpc.sent]


def test_both_versions_list_the_services() -> None:
    for path in PATHS:
        (response,) = ask(pb.ServerReflectionRequest(list_services="*"), path=path)
        names = [each.name for each in response.list_services_response.service]
        assert "inference.GRPCInferenceService" in names
        assert "grpc.health.v1.Health" in names


def test_the_files_of_every_service_make_a_pool() -> None:
    (listed,) = ask(pb.ServerReflectionRequest(list_services="*"))
    for service in listed.list_services_response.service:
        (response,) = ask(pb.ServerReflectionRequest(host="h", file_containing_symbol=service.name))
        assert response.valid_host == "h"
        pool = descriptor_pool.DescriptorPool()
        for encoded in response.file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(encoded))
        if "v1alpha" not in service.name:
            assert pool.FindServiceByName(service.name).methods


def test_symbols_files_and_dependencies() -> None:
    responses = ask(
        pb.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService.ModelInfer"),
        pb.ServerReflectionRequest(file_containing_symbol="inference.ModelInferRequest.InferInputTensor"),
        pb.ServerReflectionRequest(file_by_filename="shoal_inference.proto"),
        pb.ServerReflectionRequest(file_by_filename="shoal_grpc.proto"),
        pb.ServerReflectionRequest(all_extension_numbers_of_type="inference.ModelInferRequest"),
    )
    counts = [len(each.file_descriptor_response.file_descriptor_proto) for each in responses]
    assert counts == [1, 1, 1, 2, 0]
    assert responses[4].all_extension_numbers_response.base_type_name == "inference.ModelInferRequest"


def test_what_is_not_known_is_an_error_inside_the_answer() -> None:
    responses = ask(
        pb.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
        pb.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService.Nothing"),
        pb.ServerReflectionRequest(file_by_filename="../x.proto"),
        pb.ServerReflectionRequest(all_extension_numbers_of_type="x"),
        pb.ServerReflectionRequest(file_containing_extension=pb.ExtensionRequest(containing_type="x")),
        pb.ServerReflectionRequest(),
    )
    assert [each.error_response.error_code for each in responses] == [5, 5, 5, 5, 12, 12]


def test_bytes_that_are_no_message_end_the_stream() -> None:
    rpc, stream = Gateway().stream(PATHS[0])
    stream.on_message(b"\xff")
    assert rpc.code == 3
