"""Order books: kernels over flat arrays, and the view users hold."""
