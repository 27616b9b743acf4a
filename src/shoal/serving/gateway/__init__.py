"""Sockets and protocols, admission, routes: everything between a client's bytes and a `Call`."""
