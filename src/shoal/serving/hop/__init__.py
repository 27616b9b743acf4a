"""The hop between gateways and proxies, when they are processes of their own.

A gateway has `RemoteModels` in the place of models of its own: calls go over one persistent connection to each proxy,
all requests for a model to the same one. A proxy has a `ProxyServer` in front of its models. A `Directory` says where
the proxies are. Read on in `messages`, then `sending` (the gateway's end) and `proxy.guest` (the proxy's).
"""

from shoal.serving.hop.proxy.server import ProxyServer
from shoal.serving.hop.remote import RemoteModels
from shoal.serving.hop.settings import HopSettings, ProxySettings
from shoal.serving.peering.directory import Directory, PeerList, SocketFolder

__all__ = ["Directory", "HopSettings", "PeerList", "ProxyServer", "ProxySettings", "RemoteModels", "SocketFolder"]
