"""What all tests share."""

from hypothesis import settings

# Machines that run tests are shared and slow by turns: how long an example takes says nothing about it.
settings.register_profile("shoal", deadline=None)
settings.load_profile("shoal")
