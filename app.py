"""Composition root: the app, with what tills wait for imported at the start."""

from chalicelib.alerts.routes import alerts
from chalicelib.api.routes import api
from chalicelib.api.routing import Edge, register
from chalicelib.audit.routes import audit
from chalicelib.campaigns.routes import campaigns
from chalicelib.cards.routes import cards
from chalicelib.consents.routes import consents
from chalicelib.corrections.routes import corrections
from chalicelib.decisions.routes import decisions
from chalicelib.holds.routes import holds
from chalicelib.integrations.routes import integrations
from chalicelib.jobs.routes import jobs
from chalicelib.liability.routes import liability
from chalicelib.members.routes import members
from chalicelib.merges.routes import merges
from chalicelib.points.routes import points
from chalicelib.pools.routes import pools
from chalicelib.privacy.routes import privacy
from chalicelib.programs.routes import programs
from chalicelib.proof.routes import proof
from chalicelib.purchases.routes import purchases
from chalicelib.reach.routes import reach
from chalicelib.segments.routes import segments
from chalicelib.signin.routes import signin
from chalicelib.staff.routes import staff
from chalicelib.templates.routes import templates
from chalicelib.transfers.routes import transfers

app = Edge(app_name="regulars", configure_logs=False)
register(
    app,
    api,
    programs,
    consents,
    members,
    points,
    holds,
    purchases,
    transfers,
    pools,
    cards,
    merges,
    corrections,
    decisions,
    reach,
    templates,
    campaigns,
    privacy,
    proof,
    liability,
    staff,
    jobs,
    signin,
    integrations,
    audit,
    alerts,
    segments,
)
from chalicelib.api.routing import Edge

app = Edge()
app.open("purchases")
