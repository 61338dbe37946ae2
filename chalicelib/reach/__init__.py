"""Who may be written to: addresses that are not, opting out by link and by reply, and the one question all ask."""
