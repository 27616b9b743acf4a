"""The composition root: settings become running processes. The only place where the planes meet.

node        a whole node in one process
front       the data port of a process, and the application behind it
content     what is served: `files` of folders (`shoal serve DIR`), or `routed` of a registry (`shoal serve`)
preparing   a route's files and settings become a `ModelSpec`
hosts       a `ModelSpec` becomes workers of its own, or a seat in a shared pool
asking      questions to control, from the event loop
control     a control of the node's own, as a child process
apps        full-custom apps
roles       the parts of a split node: gateway, proxy
tree        the process above them
running     any of these as a process: signals, exit code
"""
