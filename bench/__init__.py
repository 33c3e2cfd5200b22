"""Depthscope beside its peers: the same events, the same machine, the same minutes."""
