"""``python -m depthscope`` is the command line."""

from depthscope.cli import main

if __name__ == "__main__":
    main()
