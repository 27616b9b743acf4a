"""The composition root: settings become running processes. The only place where the planes meet.

node        a whole node in one process
front       the data port of a process, and the application behind it
content     what is served: of folders (`shoal serve DIR`), or of a registry (`shoal serve`)
access      whom the data port lets in; `denials`: whom it did not
asking      questions to control, from the event loop
control     a control of the node's own, as a child process
apps        full-custom apps
confining   what workers may do; `memory`, `pressure`: how much there is, and what is done when it is short
roles       the parts of a split node: gateway, proxy, host of workers
tree        the process above them
running     any of these as a process: signals, exit code
"""
