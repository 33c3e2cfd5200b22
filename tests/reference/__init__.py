"""A slow, obviously correct model of the engine: dicts, sorted dicts and Python integers.

It shares the EVENT dtype and its constants with the project, and nothing else.
"""
