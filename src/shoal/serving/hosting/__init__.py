"""What this node serves: names and versions, each with a runner that does the work. Two implementations of
`core.ports.Models`:

folder      models of files: known and loaded from the start (`shoal serve DIR`)
routed      models that control knows: asked for when first called, loaded when needed, let go when idle

handle      one version that is served: stays the same object while the runner behind it is replaced
waiting     holds calls while their model is being brought into memory
source      where routes come from: control, and the last good ones on disk (`state`)
following   control's feed of changes, applied
scaling     the number of workers by need
journal     what has happened to models, for `why`
"""
