"""Whether a champion in service still sees, says and does what it was judged on."""
