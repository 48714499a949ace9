"""From the sources that a plan pins to the prepared parts of a dataset version."""
