"""Composition root: the app, with what tills wait for imported at the start."""

from chalicelib.api.routing import Edge

app = Edge()
app.open("purchases")
