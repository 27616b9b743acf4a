"""Signatures of artifacts, in the form of OpenSSF `model-signing` with keys (no certificates, no network).

A signature is text (a Sigstore bundle as JSON) that names every file of a manifest by digest. It is made where the
private key is (`sign`), checked when a version is pushed and again before it is loaded (`verify`); which keys are
trusted, and which stages ask for a signature, is the namespace's policy. `refuse_downgrade` keeps a stage from going
back to something older that was signed once too.

    keys         private keys at a path, trusted keys as text
    claims       what a signature says, before anybody believes it
    library      the one module that knows `model_signing`
    signatures   sign and verify
    downgrade    which moves of a stage are steps back
"""

from __future__ import annotations

from shoal.control.signing.downgrade import refuse_downgrade
from shoal.control.signing.signatures import new_key, sign, sign_folder, verify, verify_folder

__all__ = ["new_key", "refuse_downgrade", "sign", "sign_folder", "verify", "verify_folder"]
