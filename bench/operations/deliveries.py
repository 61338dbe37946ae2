"""Operations of deliveries: a part of a run, and what is read of it. `campaign_cost` says what a million come to."""

import base64
from dataclasses import replace
from datetime import timedelta

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from bench.sending import Stub
from chalicelib.deliveries import rules, store
from chalicelib.deliveries.jobs import send_parts
from chalicelib.deliveries.models import Part, PartMessage, Recipient, Run, RunStatus, Wording
from chalicelib.kernel.ids import TemplateId
from chalicelib.runtime import wiring
from chalicelib.storage import keys
from chalicelib.templates import store as templates
from chalicelib.templates.models import EmailContent, EmailContents, Template

_RUN, _TEMPLATE = "crn_aaaaaaaaaaaaaaaa_once", TemplateId("tpl_aaaaaaaaaaaaaaaa")
_EVENT = {"Records": [{"messageId": "m", "body": PartMessage(run_id=_RUN, part=0).model_dump_json()}]}


def _planned(scene: Scene) -> None:
    """A run of one part, to the member; a provider that takes everything."""
    now = scene.clock()
    said = EmailContents(channel="email", zh=EmailContent(subject="{{name}}", html="<p>{{points}}</p>"))
    template = Template(
        template_id=_TEMPLATE,
        version=1,
        name="积分",
        purpose="marketing",
        contents=said,
        created_at=now,
        changed_at=now,
    )
    run = Run(
        _RUN, "campaign", "cmp_aaaaaaaaaaaaaaaa", "once", RunStatus.SENDING, "marketing",
        (Wording("a", "email", _TEMPLATE, 1),), now - timedelta(hours=25), now + timedelta(days=1), "Asia/Shanghai",
        parts=1, planned=1,
    )  # fmt: skip
    profile = scene.house.table.get(keys.profile(scene.member))
    assert profile is not None
    sealed = base64.b64encode(profile["contact"]).decode()
    part = Part(_RUN, 0, "email", (Recipient(scene.member, 1, "zh", "a", sealed, {"points": "5"}),))
    scene.house.objects.put(rules.part_key(_RUN, 0), rules.part_file(part), kind="application/gzip")
    scene.house.table.commit([templates.add_version(template, by="stf_bench"), store.add_run(run)])
    settings = replace(scene.house.settings, send_queue="https://queues.invalid/campaign-sends")
    wiring.use(replace(scene.house, settings=settings, providers={"email": Stub()}))


@operation("deliveries.jobs.send_parts", "send a part of a run to one member: the first of a process")
def send_part(scene: Scene) -> Metered:
    _planned(scene)
    return lambda: scene.handle("deliveries.jobs.send_parts", send_parts, _EVENT)


@operation("deliveries.jobs.send_parts", "a part that is through already")
def send_part_again(scene: Scene) -> Metered:
    _planned(scene)
    scene.handle("deliveries.jobs.send_parts", send_parts, _EVENT)
    return lambda: scene.handle("deliveries.jobs.send_parts", send_parts, _EVENT)


@operation("list_deliveries", "the deliveries of a run: a page")
def list_of_run(scene: Scene) -> Metered:
    _planned(scene)
    scene.handle("deliveries.jobs.send_parts", send_parts, _EVENT)
    return lambda: scene.get(f"/v1/deliveries?run_id={_RUN}")


@operation("get_delivery_run", "how far a run is")
def show_run(scene: Scene) -> Metered:
    _planned(scene)
    scene.handle("deliveries.jobs.send_parts", send_parts, _EVENT)
    return lambda: scene.get(f"/v1/delivery-runs/{_RUN}")
