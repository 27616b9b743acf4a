"""What a gateway decides about its proxies. Pure: no clock, no socket.

`choice` (which proxy has a model), `health` (which proxies are to be trusted with requests), `retries` (what may be
tried once more).
"""
