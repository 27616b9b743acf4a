"""The parts of a split node, a process each; `shoal serve --gateways N --proxies M` starts them (`node.tree`).

gateway   the data port; its models are at proxies
proxy     models, batches and workers; answers gateways
peers     how they find each other
apps      full-custom apps: where a proxy has them, and how a gateway reaches them
telling   the metrics of all of them as one
"""
