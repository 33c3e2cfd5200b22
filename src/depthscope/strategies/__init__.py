"""Strategies: what to do about what detectors and signals say. Nothing here sends an order."""
