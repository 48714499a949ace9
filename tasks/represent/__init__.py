"""Whom the data represents: reference population, raking weights, and drift."""
