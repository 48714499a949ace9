"""Evaluation on the test part: predictions, the audit cube, performance."""
