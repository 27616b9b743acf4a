"""The parent's side of confinement: what each worker is told to apply to itself, and what is taken back after its end.

`confiner` makes plans, `rooms` has the folders that workers may write to, `users` their user ids, `needs` says what a
model needs to read.
"""
