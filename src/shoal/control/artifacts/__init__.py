"""The files of models: blobs named by their content, what brings them in, and the machine's cache of them.

intake/      a file, folder or archive of a stranger -> a staged folder and its manifest, or a refusal
storing      a staged folder -> blobs, and a manifest -> files
blobs        the ports; folder, objects (S3, GCS, Azure), http_source: what is behind them
cache        the machine's disk cache, from which models are loaded
collecting   removes blobs that nothing refers to
"""
