"""The calls that wait: `entrance` (may one come in), `admission` (is there room, in time), `queue` (where they wait),
`turns` (who is next when several tenants or levels do)."""
