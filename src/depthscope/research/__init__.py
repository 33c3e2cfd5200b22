"""Research: labels, fitting, scorecards and their report, from what the engine makes."""
