"""Operations of jobs: their routes, the start of a run, and each step of its work.

A part holds up to 25 members, who share its cost; here it holds one. `due_linear` says what a member of many costs.
"""

from datetime import date

from bench.operations.registry import Arrange, Metered, operation
from bench.operations.scene import Scene
from chalicelib.jobs import jobs
from chalicelib.jobs.models import Job, Part
from chalicelib.points.models import Due
from chalicelib.privacy.jobs import work_retention
from chalicelib.storage import keys

_DUE = {
    Job.EXPIRE: Due.EXPIRY,
    Job.EXPIRING_SOON: Due.NOTICE,
    Job.RELEASE: Due.RELEASE,
    Job.TIER_REVIEW: Due.REVIEW,
}
_DONE = {
    Job.BIRTHDAY: "give a birthday gift",
    Job.EXPIRE: "book an expiry",
    Job.EXPIRING_SOON: "tell of points that expire soon",
    Job.RELEASE: "tell of points that can be spent now",
    Job.TIER_REVIEW: "review a tier",
}


def _begun(scene: Scene, job: Job) -> date:
    """Come to a day on which the job concerns the member, and start its run; the day."""
    day = scene.clock().date()
    if job is not Job.BIRTHDAY:
        if job is Job.RELEASE:
            scene.publish(pending_days=14)
            scene.buy()
        else:
            scene.adjust(3_000, key="before-the-day", qualifying_points=3_000, expires_on="2026-08-31")
        day = scene.wait_until(_DUE[job])
    scene.post(f"/v1/jobs/{job}/runs", {"date": day.isoformat()})
    return day


def _pages(scene: Scene) -> tuple[str, list[str]]:
    """Take what a run starts with from the queue: the page that finds the member, and those that find nobody."""
    found, empty = list[str](), list[str]()
    for body in scene.tray.bodies:
        partition = Part.model_validate_json(body).partition
        assert partition is not None
        rows = scene.house.table.query_due(partition, after=None, limit=1).items
        (found if rows else empty).append(body)
    scene.tray.bodies.clear()
    (page,) = found
    return page, empty


def _step(job: Job) -> Arrange:
    def arrange(scene: Scene) -> Metered:
        _begun(scene, job)
        page, _ = _pages(scene)
        scene.work(page)
        (part,) = scene.tray.bodies
        return lambda: scene.work(part)

    return arrange


for _job, _done in _DONE.items():
    operation(f"jobs.jobs.work_job {_job}", f"{_done}, a part of one member", name=f"work_{_job}")(_step(_job))


@operation("jobs.jobs.work_job expire", "nothing to do for a member: it was done before")
def work_for_nothing(scene: Scene) -> Metered:
    part = _step(Job.EXPIRE)(scene)
    scene.book_all()
    return part


@operation("jobs.jobs.work_job expire", "a page of the index, on which one member stands")
def work_page(scene: Scene) -> Metered:
    _begun(scene, Job.EXPIRE)
    page, _ = _pages(scene)
    return lambda: scene.work(page)


@operation("jobs.jobs.work_job expire", "a page of the index, on which nobody stands")
def work_empty_page(scene: Scene) -> Metered:
    _begun(scene, Job.EXPIRE)
    _, empty = _pages(scene)
    return lambda: scene.work(empty[0])


@operation("jobs.jobs.work_job expire", "a part that was done before")
def work_page_again(scene: Scene) -> Metered:
    again = work_empty_page(scene)
    again()
    return again


@operation("jobs.jobs.work_job expire", "the last part, which closes the run")
def work_last_part(scene: Scene) -> Metered:
    _begun(scene, Job.EXPIRE)
    page, empty = _pages(scene)
    for body in (page, *empty[1:]):
        scene.work(body)
    (part,) = scene.tray.bodies
    scene.work(part)
    return lambda: scene.work(empty[0])


@operation("jobs.jobs.work_job verify", "prove a member, a part of one member")
def work_verify(scene: Scene) -> Metered:
    scene.post("/v1/jobs/verify/runs", {"date": scene.clock().date().isoformat()})
    pages = list(scene.tray.bodies)
    scene.tray.bodies.clear()
    for page in pages:
        scene.work(page)
    (part,) = (body for body in scene.tray.bodies if Part.model_validate_json(body).partition is None)
    return lambda: scene.work(part)


@operation("jobs.jobs.work_job audit", "walk the audit chains of a shard through a month without records")
def work_audit(scene: Scene) -> Metered:
    scene.post("/v1/jobs/audit/runs", {"date": scene.clock().date().isoformat()})
    first, *_ = scene.tray.bodies
    return lambda: scene.work(first)


def _retaining(scene: Scene) -> tuple[str, str]:
    """A run of the job that takes away what is too old: the page on which the member stands, and their part."""
    scene.post("/v1/jobs/retention/runs", {"date": scene.clock().date().isoformat()})
    directory = keys.directory(scene.member)
    bodies = list(scene.tray.bodies)
    scene.tray.bodies.clear()
    (page,) = (body for body in bodies if Part.model_validate_json(body).partition == directory)
    _retain(scene, page)
    (part,) = (body for body in scene.tray.bodies if scene.member in Part.model_validate_json(body).members)
    return page, part


def _retain(scene: Scene, body: str) -> None:
    scene.handle("privacy.jobs.work_retention", work_retention, {"Records": [{"messageId": "m", "body": body}]})


@operation("privacy.jobs.work_retention", "see that a member has done something of late, a part of one member or two")
def work_retention_for_nothing(scene: Scene) -> Metered:
    scene.publish(retention={"inactive_years": 1})
    _, part = _retaining(scene)
    return lambda: _retain(scene, part)


@operation("jobs.jobs.start_job", "a job's day begins")
def start_job(scene: Scene) -> Metered:
    return lambda: scene.handle("jobs.jobs.start_job", jobs.start_job, {"job": "birthday"})


@operation("jobs.jobs.start_job", "an hour in which no day begins")
def start_job_idle(scene: Scene) -> Metered:
    start_job(scene)()
    return start_job(scene)


@operation("start_job_run", "start a run by hand")
def start_job_run(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/jobs/birthday/runs", {})


@operation("get_job_run", "a run under way")
def get_job_run(scene: Scene) -> Metered:
    start_job_run(scene)()
    return lambda: scene.get("/v1/jobs/birthday/runs/2026-03-15")


@operation("list_job_runs", "the runs of a job, one of them under way")
def list_job_runs(scene: Scene) -> Metered:
    start_job_run(scene)()
    return lambda: scene.get("/v1/jobs/birthday/runs?limit=25")


@operation("list_jobs", "all jobs")
def list_jobs(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/jobs")
