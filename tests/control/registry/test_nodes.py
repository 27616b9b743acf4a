from __future__ import annotations

from shoal.control.registry import Nodes
from shoal.core.clock import ManualClock
from shoal.core.routes import NodeStatus


def test_the_last_report_of_each_node_is_told_while_it_is_young() -> None:
    clock = ManualClock()
    nodes = Nodes(clock)
    nodes.report(NodeStatus(node="b", url="http://b", position=1))
    clock.advance(5)
    nodes.report(NodeStatus(node="a", url="http://a"))
    nodes.report(NodeStatus(node="b", url="http://b", position=2))
    assert [(each.node, each.position) for each in nodes.nodes(10)] == [("a", 0), ("b", 2)]
    clock.advance(11)
    nodes.report(NodeStatus(node="c", url="http://c"))
    assert [each.node for each in nodes.nodes(10)] == ["c"]
