"""Addresses of sources that mean harm, or nothing."""

from __future__ import annotations

BAD = [
    # no scheme, an empty one, one that is not offered
    "", " ", "iris", "./iris", "../iris", "~/iris", ":", "://", "://models/iris", ":///etc/passwd", "//host/share", "///etc",
    "http://127.0.0.1/m", "https://example.org/m.onnx", "HTTPS://example.org/m", "http:/etc/passwd", "ftp://host/m",
    "data:,model", "javascript:alert(1)", "runs:/1/model", "models:/iris/1", "mlflow-artifacts:/1/x", "dbfs:/m",
    "hdfs://host/m", "gopher://127.0.0.1:6379/_x", "unix:///run/docker.sock", "file+http://h/x", "s3a://models/iris",
    "C:/models/iris", "c:\\models\\iris", "jar:file:///x!/y", "view-source:file:///etc/passwd",
    # ways out of a folder
    "/models/../etc/passwd", "/models/./iris", "/..", "/models/..", "/models//iris", "/models/iris//",
    "file:///models/../../etc/passwd", "file:///models/%2e%2e/etc/passwd", "file:///models/%252e%252e/etc",
    "file:///models/..%2f..%2fetc", "file:///models/..;/etc", "file:models/iris", "file:", "file:../x", "file:////etc",
    "file://../etc", "file:///models/a\\..\\b", "\\\\host\\share", "/models\\iris", "s3://models/../other",
    "s3://models/a/../../b", "s3://models//a", "s3://models/./a", "s3://models/%2e%2e/b", "gs://models/a/..",
    # other machines, users, ports
    "file://127.0.0.1/etc/passwd", "file://example.org/m", "file://user@localhost/etc/passwd", "file://localhost:80/etc",
    "file://localhost", "file://[::1]/etc", "s3://user:password@models/iris", "s3://key@models/iris", "s3://models:9000/iris",
    "s3://127.0.0.1/iris", "s3://127.0.0.1:9000/iris", "s3://[::1]/iris", "s3://[::ffff:169.254.169.254]/x",
    "s3://2130706433/iris", "s3://0177.0.0.1/iris", "s3://0x7f000001/iris", "s3://169.254.169.254/latest", "s3:///iris",
    "s3:models/iris", "s3://", "s3://a", "s3://Models/iris", "s3://-models/iris", "s3://models-/iris", "s3://mo..dels/iris",
    "s3://mo.-dels/i", "s3://xn--bcher-kva/iris", "s3://bücher/iris", "s3://mоdels/iris", "s3://models./iris", "s3://.models/x",
    "s3://" + "a" * 64 + "/iris", "s3://" + "a" * 300 + "/iris", "az://account@container/x", "gs://mo dels/x",
    # what follows an address
    "s3://models/iris?versionId=1", "s3://models/iris#x", "s3://models/iris?endpoint=http://evil", "file:///m?x", "file:///m#x",
    # characters that cannot be seen, or are none
    "/models/iris\0.onnx", "/models/iris\n", "/models/\r\nHost: x", "/models/\x1b[2J", "/models/\u202egnp.exe",
    "/models/\u200biris", "/models/\ufeffiris", "/models/\u2028x", "/models/\ud800", "s3://models/\0", "mlflow://iris/1\0",
    "/models/\x7f", "\0", "file\0:///etc", "mlflow://iris\u00ad/1", "/" + "é" * 128, "/" + "a" * 256, "/a" * 1025, "s3://m" * 500,
    # MLflow
    "mlflow:", "mlflow://", "mlflow:///", "mlflow:iris/1", "mlflow:/iris/1", "mlflow://iris", "mlflow://iris/", "mlflow:///1",
    "mlflow://iris/0", "mlflow://iris/01", "mlflow://iris/-1", "mlflow://iris/1.0", "mlflow://iris/latest", "mlflow://iris/٣",
    "mlflow://iris/１", "mlflow://iris/99999999999", "mlflow://iris/1/2", "mlflow://iris/Production", "mlflow://iris@",
    "mlflow://@champion", "mlflow://iris@a@b", "mlflow://iris@a/1", "mlflow://iris/1@a", "mlflow://iris@a b", "mlflow://iris@ä",
    "mlflow://iris@..", "mlflow://../1", "mlflow://./1", "mlflow://..@a", "mlflow://a/../1", "mlflow:// iris/1", "mlflow://iris /1",
    "mlflow://127.0.0.1:5000/iris/1", "mlflow://user:pw@host/iris/1", "mlflow://[::1]/1", "mlflow://iris%2f..%2f/1",
    "mlflow://iris%2e/1", "mlflow://iris/1?x=y", "mlflow://iris/1#x", "mlflow://iris\\x/1", "mlflow://iris@" + "a" * 256,
]  # fmt: skip
