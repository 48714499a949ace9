"""What a person sees of a run: figures and the front page, from its records alone."""
