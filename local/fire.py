"""`make fire JOB=… DATE=…`: run a job of the running server now, for a day, and say what came of it."""

import argparse
import http.client
import json
import sys
import time as clock
from collections.abc import Sequence
from datetime import date, datetime, time
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from local.deploy.functions import JOBS
from local.keys import ensure_keys
from local.runs import Run, find_run
from local.settings import STACK, Settings, settings
from local.tokens import make_token

_TELL_EVERY = 2.0
_PATIENCE = 15 * 60.0
_STILL = 60.0
"""Seconds without any change after which something is amiss."""


WALK = "journeys"
"""No job, but the tick of journeys, by a clock that shows a day to come."""


class Refused(Exception):
    """The server said no; the message is for a person."""


def main(arguments: Sequence[str]) -> int:
    """Run a job and wait for its end; gives the exit code."""
    asked = _parser().parse_args(arguments)
    chosen = settings()
    run = find_run(chosen.data_dir)
    if run is None:
        print(f"Nothing is running from {chosen.data_dir}; start it with `make run`.", file=sys.stderr)
        return 2
    if not run.messaging:
        print("This run has no pump (PUMP=none), so no job would ever be worked on.", file=sys.stderr)
        return 2
    if asked.job == WALK:
        return _walked(chosen, run, asked.date)
    try:
        done = _fired(_Api(chosen, run), asked.job, asked.date, dry_run=asked.dry_run)
    except (Refused, OSError, http.client.HTTPException) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(_in_words(done))
    if not done["dry_run"]:
        print(f"Notices to members: {chosen.archive / 'outbox'}")
    return 0 if done["state"] == "done" else 1


def _walked(chosen: Settings, run: Run, day: str | None) -> int:
    """Have everybody in journeys go on who is due by noon of a day, as if it were that day; gives the exit code."""
    try:
        zone = _Api(chosen, run).call("GET", "/v1/program")["time_zone"]
        at = _noon(day, zone).isoformat()
        endpoint = urlsplit(run.functions)
        connection = http.client.HTTPConnection(endpoint.hostname or "", endpoint.port or 0, timeout=60)
        path = f"/2015-03-31/functions/{STACK}-journeys-tick/invocations"
        connection.request("POST", path, json.dumps({"at": at}), {"content-type": "application/json"})
        answer = connection.getresponse()
        done = json.loads(answer.read() or b"{}")
        if answer.status != HTTPStatus.OK or "handed" not in done:
            raise Refused("The tick of journeys did not answer; pump.log may say why.")
    except (Refused, OSError, http.client.HTTPException, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"As if it were noon of {at[:10]}: {done['handed']} members in journeys go on.")
    return 0


def _noon(day: str | None, zone: str) -> datetime:
    """Noon of a day, or of today.

    Raises:
        Refused: there is no such day.
    """
    try:
        chosen = date.fromisoformat(day) if day else datetime.now(ZoneInfo(zone)).date()
    except ValueError:
        raise Refused(f"There is no such day: {day}. A day is YYYY-MM-DD, as 2026-05-01.") from None
    return datetime.combine(chosen, time(12), ZoneInfo(zone))


class _Api:
    """The running server, asked as an admin: somebody who is at this machine holds its keys anyway."""

    def __init__(self, chosen: Settings, run: Run) -> None:
        self._address = urlsplit(run.url)
        self._token = make_token(ensure_keys(chosen.keys_file), "admin")

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request.

        Raises:
            Refused: the server said no.
            OSError: it does not answer.
        """
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
        try:
            sent = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status >= 400:
            raise Refused(_why(answer))
        return answer


def _why(problem: dict[str, Any]) -> str:
    """A problem in words."""
    if problem.get("code") == "route_unknown":
        return "The running server has no jobs; is it of an older version? Start it anew."
    if problem.get("code") == "id_malformed":
        return f"There is no such job or day. The jobs are: {' '.join(JOBS)}; a day is YYYY-MM-DD."
    return str(problem.get("detail") or problem.get("title") or "The server refused, and does not say why.")


def _fired(api: _Api, job: str, date: str | None, *, dry_run: bool) -> dict[str, Any]:
    """Start a job and follow it to its end.

    Raises:
        Refused: the server said no, or the job stands still.
    """
    path = f"/v1/jobs/{quote(job, safe='')}/runs"
    run = api.call("POST", path, {"date": date, "dry_run": dry_run} if date else {"dry_run": dry_run})
    path = f"{path}/{run['date']}{'?dry_run=true' if dry_run else ''}"
    started = changed = told = clock.monotonic()
    while run["state"] == "running":
        now = clock.monotonic()
        if now - changed > _STILL or now - started > _PATIENCE:
            raise Refused(f"{_in_words(run)} Nothing has moved for a while; pump.log may say why.")
        if now - told > _TELL_EVERY:
            told = now
            print(f"{job} of {run['date']}: {run['done']} of {run['due']} …", flush=True)
        clock.sleep(0.2)
        before = run
        run = api.call("GET", path)
        if run != before:
            changed = clock.monotonic()
    return run


def _in_words(run: dict[str, Any]) -> str:
    """What a run has come to, in a sentence or two."""
    head = f"{run['job']} of {run['date']}{', only tried' if run['dry_run'] else ''}: {run['state']}"
    changed = "there would be something to do for" if run["dry_run"] else "something was done for"
    facts = f"{run['due']} members looked up: {changed} {run['changed']}, nothing for {run['unchanged']}"
    waiting = f", {run['waiting']} are still waiting" if run["waiting"] else ""
    points = f"; {run['points']:,} points" if run["points"] else ""
    return f"{head}. {facts}{waiting}{points}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fire", usage="make fire JOB=… [DATE=YYYY-MM-DD] [DRY=1]")
    parser.add_argument("job", help=" ".join((*JOBS, WALK)))
    parser.add_argument("date", nargs="?", help="the day of the shops that it is for, YYYY-MM-DD; today")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would do")
    return parser
