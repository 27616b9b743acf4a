"""Make `src/shoal/core/_generated/*_pb2.py` from the .proto files.

The messages live in a descriptor pool of their own: other packages (Triton's client, gRPC's health and reflection)
define messages of the same names, and one process may well import both.
"""

import pathlib
import re
import sys

from grpc_tools import protoc

IMPORT = "from ._pool import POOL"
HOME = pathlib.Path(__file__).parent.parent / "src/shoal/core/_generated"


def adapt(text: str) -> str:
    """Use our own pool, and leave out the check that ties the messages to the newest protobuf runtime."""
    text = text.replace("_descriptor_pool.Default()", "POOL")
    text = text.replace(
        "from google.protobuf import descriptor as", f"{IMPORT}\nfrom google.protobuf import descriptor as", 1
    )
    return re.sub(r"_runtime_version\.ValidateProtobufRuntimeVersion\(.*?\n\)\n", "", text, flags=re.DOTALL)


def main() -> int:
    files = sorted(str(path.name) for path in (HOME / "proto").glob("*.proto"))
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    code = protoc.main(
        ["protoc", f"-I{HOME / 'proto'}", f"-I{include}", f"--python_out={HOME}", f"--pyi_out={HOME}", *files]
    )
    for path in HOME.glob("*_pb2.py"):
        path.write_text(adapt(path.read_text()))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
