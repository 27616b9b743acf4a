"""Worker environments: a virtual environment per requirements lock, and the bundle that makes the same elsewhere.

Read in this order:

locks          the text of a requirements lock -> `Lock`; what names an environment (pure)
needs          what Shoal itself needs, in a worker and in a node, at the versions that run here
package        Shoal's own files as a wheel
pip            runs pip; its errors become one sentence and a hint
assembling     the steps that fill an environment's folder, and seal it
holding        who uses an environment, by locks that the kernel lets go
records        what is known of an environment
environments   `Environments`: built once, immutable, held while in use, removed when unused
bundles        tar files that are the same for the same content: write, verify, unpack
projects       what of a project's folder goes into a bundle; `shoal-build.yaml`
dockerfile     the text of a Dockerfile (pure)
building       `build`: a project -> bundle and Dockerfile
"""
