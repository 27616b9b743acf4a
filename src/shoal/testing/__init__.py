"""Models that misbehave on demand, to prove that a server (or a setting of it) keeps what it promises."""
