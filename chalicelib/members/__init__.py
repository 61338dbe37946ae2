"""Members: who they are and how they are found."""
