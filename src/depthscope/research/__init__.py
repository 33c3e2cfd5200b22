"""Research: what detections and signals have been worth."""
