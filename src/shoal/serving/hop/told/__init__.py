"""What proxies tell a gateway of their models: `asking` (the questions), `handles` (a model as it was told of),
`memory` (all that was told)."""
