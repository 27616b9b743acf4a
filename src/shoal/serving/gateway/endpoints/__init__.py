"""Everything that is answered without a prediction: metadata, repository, health, docs, metrics; and apps."""
