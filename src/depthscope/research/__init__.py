"""Research: how good detectors and signals are, measured on recorded streams."""
