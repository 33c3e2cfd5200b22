"""What is kept on disk: the capture log of a live session, and archives of events.

- :mod:`~depthscope.storage.capture`: every input of a session, before it is decoded, in frames that
  tell damage; writing, reading, checking and repairing it.
- :mod:`~depthscope.storage.parquet`: events as Parquet, for other programs and for the long run.
- :mod:`~depthscope.storage.events`: events in a file of our own, for fast repeat reading.

docs/RECORDING.md states the guarantees and the formats byte by byte.
"""
