"""Protobuf messages, made by `make proto` from the files in `proto/`; not written by hand."""
