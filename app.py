"""Composition root: registers the blueprints, nothing else."""

from chalice.app import Chalice

from chalicelib.api.routes import api
from chalicelib.api.routing import register
from chalicelib.cards.routes import cards
from chalicelib.jobs.routes import jobs
from chalicelib.members.routes import members
from chalicelib.merges.routes import merges
from chalicelib.points.routes import points
from chalicelib.pools.routes import pools
from chalicelib.programs.routes import programs
from chalicelib.purchases.routes import purchases

app = Chalice(app_name="regulars", configure_logs=False)
register(app, api, programs, members, points, purchases, pools, cards, merges, jobs)
