"""The calls of a gateway on their way to its proxies and back: `dispatch` (where those of one model go), `calls` (each
has one outcome), `sender` (on a connection and off it), `held` (those that wait), `hedges` (those that take long)."""
