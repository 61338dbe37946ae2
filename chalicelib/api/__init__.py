"""The HTTP edge: typed routes, problems, sign-in, permissions."""
