"""Members sign in: by a code that is sent to them, then by tokens; and what they do for themselves."""
