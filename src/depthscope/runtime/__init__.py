"""Composition root: what users name becomes sources, sources become sessions."""
