"""The page: one port, one binary stream, static ES modules, guarded from the first request."""
