"""Raw HTTP/1.1 requests that servers read in different ways, as data.

Each vector hides a second request, ``/hidden``, where a lenient reader would find one. `REFUSED` must be answered with
the given status and a closed connection, and the hidden request must never reach the application. `ACCEPTED` are their
harmless neighbours, with the targets that must reach it.
"""

from __future__ import annotations

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def _post(*headers: bytes, body: bytes = b"", line: bytes = b"POST /first HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: a", *headers)) + b"\r\n\r\n" + body + HIDDEN


def _get(*headers: bytes, line: bytes = b"GET /first HTTP/1.1") -> bytes:
    return b"\r\n".join((line, *headers)) + b"\r\n\r\n" + HIDDEN


CHUNKED = b"Transfer-Encoding: chunked"

REFUSED: dict[str, tuple[bytes, int]] = {
    # Two lengths.
    "cl_te": (_post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), 400),
    "te_cl": (_post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    "cl_twice_different": (_post(b"Content-Length: 0", b"Content-Length: 5", body=b"hello"), 400),
    "cl_twice_equal": (_post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    "cl_list": (_post(b"Content-Length: 5, 5", body=b"hello"), 400),
    "cl_plus": (_post(b"Content-Length: +5", body=b"hello"), 400),
    "cl_minus": (_post(b"Content-Length: -5", body=b"hello"), 400),
    "cl_hex": (_post(b"Content-Length: 0x5", body=b"hello"), 400),
    "cl_underscore": (_post(b"Content-Length: 1_0", body=b"helloworld"), 400),
    "cl_fraction": (_post(b"Content-Length: 5.0", body=b"hello"), 400),
    "cl_exponent": (_post(b"Content-Length: 5e0", body=b"hello"), 400),
    "cl_empty": (_post(b"Content-Length: ", body=b"hello"), 400),
    "cl_spaced": (_post(b"Content-Length: 0 5", body=b"hello"), 400),
    "cl_huge": (_post(b"Content-Length: 99999999999999999999999"), 400),
    "cl_wraps_64_bits": (_post(b"Content-Length: 18446744073709551616"), 400),
    "cl_unicode_digit": (_post("Content-Length: ٥".encode(), body=b"hello"), 400),
    "cl_space_before_colon": (_post(b"Content-Length : 5", body=b"hello"), 400),
    "cl_tab_before_colon": (_post(b"Content-Length\t: 5", body=b"hello"), 400),
    # Variants of Transfer-Encoding.
    "te_identity": (_post(b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), 400),
    "te_gzip_chunked": (_post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    "te_chunked_identity": (_post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400),
    "te_chunked_chunked": (_post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    "te_twice": (_post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    "te_twice_different": (_post(CHUNKED, b"Transfer-Encoding: x", body=b"0\r\n\r\n"), 400),
    "te_xchunked": (_post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    "te_quoted": (_post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    "te_empty": (_post(b"Transfer-Encoding: ", body=b"0\r\n\r\n"), 400),
    "te_parameter": (_post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 400),
    "te_space_before_colon": (_post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    "te_vertical_tab": (_post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    "te_form_feed": (_post(b"Transfer-Encoding: chunked\x0c", body=b"0\r\n\r\n"), 400),
    "te_nul": (_post(b"Transfer-Encoding: chunked\x00", body=b"0\r\n\r\n"), 400),
    "te_folded": (_post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    "te_folded_tab": (_post(b"Transfer-Encoding:\r\n\tchunked", body=b"0\r\n\r\n"), 400),
    "te_leading_space": (_post(b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "te_after_bare_lf": (_post(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "te_after_bare_cr": (_post(b"X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "te_http10": (_post(CHUNKED, body=b"0\r\n\r\n", line=b"POST /first HTTP/1.0"), 400),
    # Line ends and control characters.
    "bare_lf": (b"GET /first HTTP/1.1\nHost: a\n\n" + HIDDEN, 400),
    "bare_lf_in_request_line": (b"GET /first HTTP/1.1\nHost: a\r\n\r\n" + HIDDEN, 400),
    "bare_lf_at_end": (b"GET /first HTTP/1.1\r\nHost: a\r\n\n" + HIDDEN, 400),
    "cr_cr_lf": (b"GET /first HTTP/1.1\r\nHost: a\r\r\n\r\n" + HIDDEN, 400),
    "obs_fold": (_get(b"Host: a", b"X: y", b" folded"), 400),
    "nul_in_value": (_get(b"Host: a", b"X: y\x00z"), 400),
    "nul_in_target": (_get(b"Host: a", line=b"GET /first\x00 HTTP/1.1"), 400),
    "control_in_name": (_get(b"Host: a", b"X\x01: y"), 400),
    "delete_in_value": (_get(b"Host: a", b"X: \x7f"), 400),
    "no_colon": (_get(b"Host: a", b"nonsense"), 400),
    "empty_name": (_get(b"Host: a", b": value"), 400),
    "name_with_bracket": (_get(b"Host: a", b"X[0]: value"), 400),
    "name_not_ascii": (_get(b"Host: a", b"X\xe9: value"), 400),
    # The request line and Host.
    "host_missing": (_get(b"X: y"), 400),
    "host_twice": (_get(b"Host: a", b"Host: b"), 400),
    "host_with_path": (_get(b"Host: a/b"), 400),
    "host_with_space": (_get(b"Host: a b"), 400),
    "two_spaces": (_get(b"Host: a", line=b"GET  /first HTTP/1.1"), 400),
    "tab_separated": (_get(b"Host: a", line=b"GET\t/first\tHTTP/1.1"), 400),
    "space_in_target": (_get(b"Host: a", line=b"GET /first /hidden HTTP/1.1"), 400),
    "target_not_ascii": (_get(b"Host: a", line=b"GET /f\xc3\xaf HTTP/1.1"), 400),
    "target_without_slash": (_get(b"Host: a", line=b"GET first HTTP/1.1"), 400),
    "lower_case_method": (_get(b"Host: a", line=b"get /first HTTP/1.1"), 400),
    "unknown_method": (_get(b"Host: a", line=b"HACK /first HTTP/1.1"), 400),
    "connect": (_get(b"Host: a", line=b"CONNECT a:80 HTTP/1.1"), 501),
    "http09": (b"GET /first\r\n\r\n" + HIDDEN, 400),
    "http2_in_text": (_get(b"Host: a", line=b"GET /first HTTP/2.0"), 505),
    "http12": (_get(b"Host: a", line=b"GET /first HTTP/1.2"), 505),
    "lower_case_version": (_get(b"Host: a", line=b"GET /first http/1.1"), 400),
    "two_empty_lines": (b"\r\n\r\n" + HIDDEN, 400),
    "tls_hello_in_clear": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + HIDDEN, 400),
    "expectation": (_post(b"Expect: coffee", b"Content-Length: 0"), 417),
    # Chunks.
    "chunk_size_negative": (_post(CHUNKED, body=b"-1\r\n\r\n"), 400),
    "chunk_size_prefixed": (_post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_plus": (_post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_space": (_post(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_leading_space": (_post(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_wraps": (_post(CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_empty": (_post(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_bare_lf": (_post(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n"), 400),
    "chunk_size_bare_cr": (_post(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n"), 400),
    "chunk_too_long": (_post(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_too_short": (_post(CHUNKED, body=b"6\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_end_bare_lf": (_post(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n"), 400),
    "chunk_end_missing": (_post(CHUNKED, body=b"5\r\nhello0\r\n\r\n"), 400),
    "chunk_extension_lf": (_post(CHUNKED, body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_extension_nul": (_post(CHUNKED, body=b"5;\x00\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk_extension_long": (_post(CHUNKED, body=b"5;" + b"x" * 300 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    "last_chunk_bare_lf": (_post(CHUNKED, body=b"0\n\n"), 400),
    "last_chunk_without_end": (_post(CHUNKED, body=b"0\r\n"), 400),
    "trailer_malformed": (_post(CHUNKED, body=b"0\r\nno colon\r\n\r\n"), 400),
    "trailer_folded": (_post(CHUNKED, body=b"0\r\nA: b\r\n c\r\n\r\n"), 400),
    "trailer_bare_lf": (_post(CHUNKED, body=b"0\r\nA: b\nC: d\r\n\r\n"), 400),
}

ACCEPTED: dict[str, tuple[bytes, list[bytes]]] = {
    "plain": (_get(b"Host: a"), [b"/first", b"/hidden"]),
    "sized": (_post(b"Content-Length: 5", body=b"hello"), [b"/first", b"/hidden"]),
    "chunked": (
        _post(b"transfer-encoding: CHUNKED", body=b"5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"),
        [b"/first", b"/hidden"],
    ),
    "length_covers_the_next": (_post(b"Content-Length: %d" % len(HIDDEN)), [b"/first"]),
    "upgrade_ignored": (
        _get(b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        [b"/first", b"/hidden"],
    ),
    "upgrade_with_body": (
        _post(b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 5", body=b"hello"),
        [b"/first", b"/hidden"],
    ),
    "absolute_target": (_get(b"Host: a", line=b"GET http://b/first HTTP/1.1"), [b"/first", b"/hidden"]),
    "one_empty_line_before": (b"\r\n" + _get(b"Host: a"), [b"/first", b"/hidden"]),
    "close": (_get(b"Host: a", b"Connection: close"), [b"/first"]),
    "close_repeated": (_get(b"Host: a", b"Connection: close", b"Connection: keep-alive"), [b"/first"]),
    "http10": (_get(line=b"GET /first HTTP/1.0"), [b"/first"]),
    "http10_keep_alive": (_get(b"Connection: keep-alive", line=b"GET /first HTTP/1.0"), [b"/first", b"/hidden"]),
    "names_with_underscore": (_get(b"Host: a", b"Content_Length: 5"), [b"/first", b"/hidden"]),
}
