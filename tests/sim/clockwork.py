"""Tasks that take turns: one runs at a time, and which one follows from the simulated time alone.

Each task runs in a thread, because the product's code knows nothing of turns, but only one thread ever runs: who waits
hands the baton to whoever is next on the agenda. The same tasks with the same waits give the same interleaving.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush

Task = Callable[[], None]


class Clockwork:
    """An agenda, and the workers that work it off.

    Attributes:
        now: microseconds since the beginning.
        failures: what tasks raised that they should not have.
    """

    def __init__(self) -> None:
        self.now = 0
        self.failures: list[BaseException] = []
        self._agenda: list[tuple[int, int, _Worker | Task]] = []
        self._tickets = itertools.count()
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._current: _Worker | None = None
        self._done = threading.Lock()

    def at(self, moment: int, task: Task) -> None:
        """Put a task on the agenda."""
        heappush(self._agenda, (moment, next(self._tickets), task))

    def wait(self, microseconds: int) -> None:
        """Let others run until so much time has passed; for a task to call."""
        me = self._current
        if me is None:
            return
        heappush(self._agenda, (self.now + microseconds, next(self._tickets), me))
        turn = self._next()
        if turn is me:
            return
        self._pass_on(turn)
        me.turn.acquire()

    def run(self) -> None:
        """Work off the agenda; returns when nothing is left on it."""
        if not self._agenda:
            return
        self._done.acquire()
        with _one_core():
            self._pass_on(self._next())
            with self._done:
                pass
        self._current = None

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.task = None
            worker.turn.release()
        for worker in self._workers:
            worker.thread.join()
        self._workers.clear()

    def work(self, me: "_Worker") -> None:
        """What a worker does all its life: a task, and whatever is next."""
        while True:
            me.turn.acquire()
            if me.task is None:
                return
            while me.task is not None:
                task, me.task = me.task, None
                try:
                    task()
                except BaseException as raised:  # noqa: BLE001 - whatever it is, the run has to tell
                    self.failures.append(raised)
                if not self._agenda:
                    self._idle.append(me)
                    self._done.release()
                    break
                turn = self._next()
                if isinstance(turn, _Worker):
                    self._idle.append(me)
                    self._pass_on(turn)
                    break  # before looking at `me.task`: it is already somebody else's turn to set it
                me.task = turn

    def _next(self) -> "_Worker | Task":
        moment, _, turn = heappop(self._agenda)
        self.now = max(self.now, moment)
        return turn

    def _pass_on(self, turn: "_Worker | Task") -> None:
        worker = turn if isinstance(turn, _Worker) else self._free()
        if not isinstance(turn, _Worker):
            worker.task = turn
        self._current = worker
        worker.turn.release()

    def _free(self) -> "_Worker":
        if self._idle:
            return self._idle.pop()
        worker = _Worker(self)
        self._workers.append(worker)
        return worker


class _Worker:
    """A thread that runs when its turn comes."""

    def __init__(self, clockwork: Clockwork) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.task: Task | None = None
        self.thread = threading.Thread(target=clockwork.work, args=(self,), daemon=True)
        self.thread.start()


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep to one core: threads that never run at the same time pass the baton eight times as fast on one."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[os.getpid() % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
