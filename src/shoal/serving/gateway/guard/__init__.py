"""Who may come in, and what for: before a request of the data port is looked at any further.

needs        what each route and each gRPC method needs: the one table
credentials  from headers to what was presented as a proof
attempts     how often wrong proofs came from where
guard        from a proof to whoever it stands for, and what that one may do
denials      what was denied, counted until somebody takes it for the audit log
sight        the models, as somebody sees them
"""
