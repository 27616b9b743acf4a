"""The host's end: `server` listens, `guest` is one proxy, `stock` a model with its workers, `shelf` all of them."""
