"""The control API: HTTP in front of `shoal.control.control.Control`.

app        composes the rest
boundary   who may call at all: Host and Origin, request ids, errors that nobody expected
replays    `Idempotency-Key`: the same answer again, the effect once
bodies     request bodies, bounded
prompt     heads that are bounded and come in time
problems   domain error -> status, only here
describing OpenAPI with working examples, and the page that shows it
"""
