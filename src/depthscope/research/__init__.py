"""What is fitted and measured on recordings."""
