"""The request's path: gateway, hosting, batching, pool, worker, adapters; read in this order."""
