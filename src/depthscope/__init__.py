"""depthscope: exact, fast order books, their features, and a page to watch them on."""
