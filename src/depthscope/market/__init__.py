"""Vocabulary: events, instruments, row layouts, times, and what a source of events is."""
