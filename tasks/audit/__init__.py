"""Audit anyone's predictions, from a table of labels, predictions and groups, without training or servers."""
