"""Books: the compiled kernel, the arrays it works on, and the read-only view users hold."""
