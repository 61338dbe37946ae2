"""Privacy: who sees personal data as they are, and what is kept of that."""
