"""From a socket to an `Exchange` or an `Rpc` and back: listening, TLS, HTTP/1.1, HTTP/2, content codings."""
