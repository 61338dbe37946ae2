"""Composition root: registers the blueprints, nothing else."""

from chalice.app import Chalice

from chalicelib.api.routes import api
from chalicelib.api.routing import register
from chalicelib.jobs.routes import jobs
from chalicelib.liability.routes import liability
from chalicelib.members.routes import members
from chalicelib.points.routes import points
from chalicelib.programs.routes import programs
from chalicelib.proof.routes import proof
from chalicelib.purchases.routes import purchases

app = Chalice(app_name="regulars", configure_logs=False)
register(app, api, programs, members, points, purchases, proof, liability, jobs)
