"""From the tree to a stack: package, validate, deploy, destroy."""
