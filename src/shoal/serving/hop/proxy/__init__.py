"""The proxy's end: `server` (who may connect, draining), `guest` (one gateway and its requests), `telling` (what is
told of models)."""
