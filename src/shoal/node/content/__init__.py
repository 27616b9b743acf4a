"""What a process serves, from settings to models with workers.

base        the port: `Content`
files       the models of folders
routed      those of a registry; `keeping`: what of it is on this machine, `preparing`: a route becomes a model's spec
hosts       a spec becomes something that runs: in `pools`, with `lenders` of accelerators, or `elsewhere`
"""
