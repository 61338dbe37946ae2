"""Composition root: the app, with what tills wait for imported at the start."""

import gc

from chalicelib.api.routing import Edge

app = Edge()
app.open("purchases")
gc.freeze()  # what is loaded by now stays; a look through all of it would take some purchase tens of milliseconds
