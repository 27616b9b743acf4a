"""Serves this folder in a node of its own and asks it."""

from pathlib import Path

from shoal.testing.node import serve

HERE = Path(__file__).parent


def test_amounts_become_euros() -> None:
    with serve(HERE) as node, node.client() as client:
        answer = client.predict("euros", {"amount": [10.0, 1000.0, 5.0], "currency": ["USD", "JPY", "XYZ"]})
        assert answer["euros"].tolist() == [9.2, 6.1, 0.0]
        assert answer["known"].tolist() == [True, True, False]
