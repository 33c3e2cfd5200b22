"""What depthscope itself is measured at."""
