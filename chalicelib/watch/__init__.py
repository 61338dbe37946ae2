"""The watch: takes events, chains audit records and counts points given."""
