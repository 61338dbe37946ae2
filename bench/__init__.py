"""The measured figures, each a ratio against a peer or a limit run in the same session."""
