"""Recipients a second of one core: our worker, and django-post-office sending queued mails, both to nobody.

Ours opens contact data with the members' own keys, asks who has changed, makes links that opt out, renders, claims each
call, counts, and tells the lake; the database is dynoxide. django-post-office is handed its mails by `send_many` and
sends them by `send_queued` with Django's dummy backend, over SQLite in memory-backed files, in the faster of its
settings; it opens no sealed data, checks no consent and makes no links. Both render the same subject, text and HTML for
each recipient. CPU counts, of the worker and its database together: for SQLite they are one process, for dynoxide two.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.report import CannotRun, Figure, table
from bench.sending import HTML, SUBJECT, TEXT, sending
from bench.stack import folder, usage

PEER = ("django==5.2.8", "django-post-office==3.10.1")
GOAL = 50.0


@dataclass(frozen=True)
class Pace:
    """Recipients a second: of CPU, and by the clock."""

    cpu: float
    clock: float


def run(*, quick: bool = False) -> Figure:
    """Both, in turns; the value is the ratio of recipients by second of CPU."""
    size, peer_size, rounds = (1_000, 200, 1) if quick else (20_000, 3_000, 3)
    with folder() as path:
        python = _peer(path)
        ours: list[tuple[Pace, float]] = []
        theirs: dict[str, list[Pace]] = {"as it comes": [], "without its log": []}
        for number in range(rounds):
            ours.append(_ours(size))
            for name, level in (("as it comes", 2), ("without its log", 0)):
                theirs[name].append(_theirs(python, path, peer_size, level, number))
    mine = Pace(statistics.median(each.cpu for each, _ in ours), statistics.median(each.clock for each, _ in ours))
    worker = statistics.median(each for _, each in ours)
    found = {
        name: Pace(statistics.median(each.cpu for each in some), statistics.median(each.clock for each in some))
        for name, some in theirs.items()
    }
    best = max(found.values(), key=lambda each: each.cpu)
    rows = [["ours, with its database", mine.cpu, mine.clock], ["ours, the worker alone", worker, mine.clock]]
    rows += [[f"django-post-office, {name}", each.cpu, each.clock] for name, each in found.items()]
    table(["recipients/s", "of CPU", "by the clock"], rows)
    ratio = mine.cpu / best.cpu
    print(f"  by the worker's CPU alone ×{worker / best.cpu:.0f}; by the clock ×{mine.clock / best.clock:.0f}")
    return Figure(
        "campaign", "recipients/s of CPU, worker and database ÷ django-post-office", ratio, GOAL, "×",
        lower_is_better=False,
        details={
            "recipients_per_cpu_second": mine.cpu, "worker_alone": worker, "by_clock": mine.clock,
            "post_office": {name: {"cpu": each.cpu, "clock": each.clock} for name, each in found.items()},
            "ratio_worker_alone": worker / best.cpu, "ratio_by_clock": mine.clock / best.clock, "recipients": size,
        },
    )  # fmt: skip


def _ours(size: int) -> tuple[Pace, float]:
    with sending(size, metered=False) as work:
        before = usage(work.pid).cpu_seconds
        clock, cpu = work.send()
        database = usage(work.pid).cpu_seconds - before
    return Pace(size / (cpu + database), size / clock), size / cpu


# ---------------------------------------------------------------- the peer


def _peer(path: Path) -> Path:
    """A Python that has it, fetched now.

    Raises:
        CannotRun: it cannot be fetched.
    """
    venv = path / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
        python = venv / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=True, capture_output=True)
    except subprocess.CalledProcessError as failed:
        raise CannotRun(f"django-post-office cannot be installed: {failed.stderr.decode()[-300:]}") from None
    return python


def _theirs(python: Path, path: Path, size: int, level: int, number: int) -> Pace:
    """What it does with so many mails, in a process of its own."""
    work = path / f"peer-{level}-{number}"
    work.mkdir()
    (work / "peer.py").write_text(_SCRIPT)
    asked = {"size": size, "level": level, "subject": SUBJECT, "text": TEXT, "html": HTML, "path": str(work)}
    command = [str(python), "peer.py"]
    said = subprocess.run(command, cwd=work, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise CannotRun(f"django-post-office failed: {said.stderr[-500:]}")
    found = json.loads(said.stdout.splitlines()[-1])
    return Pace(size / found["cpu"], size / found["clock"])


_SCRIPT = """
import json, os, sys, time
import django
from django.conf import settings

asked = json.load(sys.stdin)
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(asked["path"], "mail.db"),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", "transaction_mode": "IMMEDIATE",
        },
    }},
    TEMPLATES=[{"BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates", "NAME": "post_office",
                "APP_DIRS": True, "OPTIONS": {"context_processors": []}},
               {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    EMAIL_BACKEND="post_office.EmailBackend",
    POST_OFFICE={
        "BACKENDS": {"default": "django.core.mail.backends.dummy.EmailBackend"}, "LOG_LEVEL": asked["level"],
        "BATCH_SIZE": 5000, "THREADS_PER_PROCESS": 1,
    },
    DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True, SECRET_KEY="x", LOGGING_CONFIG=None,
)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from post_office import mail
from post_office.models import Email, EmailTemplate, STATUS

template = EmailTemplate.objects.create(
    name="points", subject=asked["subject"], content=asked["text"], html_content=asked["html"])
began, cpu = time.perf_counter(), time.process_time()
mail.send_many([
    {"sender": "shop@example.com", "recipients": [f"{number:016d}@example.com"], "template": template,
     "context": {"name": "Anna Smith", "points": "1,280", "opt_out": f"https://members.example.com/o/{number:064d}"},
     "render_on_delivery": asked.get("later", False)}
    for number in range(asked["size"])
])
while Email.objects.exclude(status=STATUS.sent).exists():
    mail.send_queued(processes=1, log_level=asked["level"])
print(json.dumps({"clock": time.perf_counter() - began, "cpu": time.process_time() - cpu}))
"""
