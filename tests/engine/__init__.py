"""Exactness and laws of the engine, against the slow reference."""
