"""Tokens that others have issued (OpenID Connect): verified here, never made.

issuers     what is believed of whom: fixed algorithms, an audience, grants by claim
keysets     an issuer's public keys, from the document that it publishes (pure)
keeping     the key sets as they are now, fetched beside everything else
verifying   from a token to whoever it stands for
"""
