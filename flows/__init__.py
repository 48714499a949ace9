"""The stories: thin flows, read top to bottom, and the command line."""
