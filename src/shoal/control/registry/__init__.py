"""What there is: models and their versions, stages, services, and the feed that tells nodes of changes.

registry        the way in: `open_registry` and the `Registry`, which is made of parts
namespaces, models, versions, registering, stages, deletion, services, quotas, feed, events, backup     the parts
candidates, ledger      what is to be registered: checked by itself, then against what is there
part, keys, growth, upsert      what the parts stand on: a writing, repeated requests, the feed's numbers
engine, place, faults, schema, migrations       the database
nodes           who has reported lately
"""

from shoal.control.registry.nodes import Nodes
from shoal.control.registry.records import Event, ServiceRecord
from shoal.control.registry.registry import Registry, open_registry

__all__ = ["Event", "Nodes", "Registry", "ServiceRecord", "open_registry"]
