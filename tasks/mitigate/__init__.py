"""Steps against bias, before, during and after training. Raking is none and lives in represent."""
