"""The lake: what is asked of many members at once, kept as columns beside the tables."""
