"""Before training: weights that change what is learned. Raking is no mitigation and lives in represent."""
