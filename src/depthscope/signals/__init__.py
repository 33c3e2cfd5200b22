"""Signals: an additive model over features and detections, and what it says of each row."""
