"""The relay: what was committed, told to everybody, and kept."""
