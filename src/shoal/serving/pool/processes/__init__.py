"""The operating-system side of a child of the node: `process` (start and end of a worker), `channel` (its socket),
`environment`, `interpreters` (how it is started), `output` (what it prints), `cgroup` (limits that the kernel keeps),
`stopping` (the end of a child that is no worker)."""
