"""Rebuild every number of a model from its dossier and compare; trusts nothing that it replays."""
