"""Training: encoders, loop, checkpoints and the freeze. The test part is never read here."""
