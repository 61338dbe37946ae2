"""What the providers share: calls made one after the other, and what is known of those that went wrong.

Of a call that went wrong one of three things is true. It is certain that nothing went out (`NotSent`): nobody was
reached, or the provider says that it did not take it. The provider does not bring this message (`Turned`). Or nobody
knows (`Lost`): the request left us and no answer came that can be understood.

What says for certain that a request was not carried out: that no connection was made; status 429; status 503 with
`Retry-After`, because that is a server that chose not to; a code that the provider documents as such. A bare 503 does
not: gateways also say it when the server behind them fell silent.
"""

import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from chalicelib.kernel.texts import sms_parts
from chalicelib.providers.models import Outgoing, Result, Status
from chalicelib.providers.port import Look, ProviderBusy, ProviderMisconfigured, everyone

SECONDS = 6.0
"""Of one call, from connecting to the last byte."""
BUDGET = 20.0
"""Seconds after which no further call of a batch is begun: a function has to record what came of it."""
RETRY_AFTER_MAX = 3600
WITHHELD = "Withheld"
"""The code of a message that was not to go any more when its turn came."""

Call = Callable[[Sequence[Outgoing]], Sequence[Result]]
"""Sends some messages in one request; one result for each. Raises `NotSent`, `Turned`, `Lost`, `ProviderMisconfigured`
of all of them together."""


class NotSent(Exception):
    """It is certain that nothing of the call went out.

    Attributes:
        everything: whether the same holds for any other message now; else it is about this one.
        throttled: see `ProviderBusy`.
    """

    def __init__(self, code: str, *, everything: bool = True, throttled: bool = False, retry_after: int = 1) -> None:
        super().__init__(code)
        self.code = code
        self.everything = everything
        self.throttled = throttled
        self.retry_after = retry_after


class Turned(Exception):
    """The provider does not bring these messages, now or later, and nothing of the call went out.

    Attributes:
        everything: whether that holds for each of them; else perhaps for one only, and the others are asked apart.
    """

    def __init__(self, code: str, *, everything: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.everything = everything


class Lost(Exception):
    """Nobody knows whether the call was carried out."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def text_cost(price_micro: int, outgoing: Outgoing) -> int:
    """What a text message costs, by its parts as carriers of its country count them."""
    return price_micro * sms_parts(outgoing.text, mainland=is_mainland(outgoing.to))


def in_calls(
    batch: Sequence[Outgoing],
    groups: Sequence[Sequence[Outgoing]],
    call: Call,
    cost_of: Callable[[Outgoing], int],
    look: Look = everyone,
    *,
    timer: Callable[[], float] = time.monotonic,
) -> tuple[Result, ...]:
    """Make the calls of a batch one after the other, as long as there is sense and time in it.

    A call that is turned down for what may be wrong with one message only is made again in halves.

    Args:
        groups: the batch's messages, those together that go in one call.
        cost_of: what a message costs of which nothing is known.
        look: asked before each call; what it leaves out is `not_sent`.

    Raises:
        ProviderBusy, ProviderMisconfigured: see `Provider.send`.
    """
    done: dict[int, Result] = {}
    began, stopped, left = timer(), "", [*reversed(groups)]
    while left:
        group = left.pop()
        if not stopped and timer() - began > BUDGET:
            stopped = "OutOfTime"
        if stopped:
            _note(done, group, "not_sent", stopped)
            continue
        group = _going(done, group, look)
        try:
            done |= {id(each): result for each, result in zip(group, call(group) if group else (), strict=True)}
        except (Turned, NotSent) as fault:
            if not fault.everything and len(group) > 1:
                left += [group[len(group) // 2 :], group[: len(group) // 2]]
            elif isinstance(fault, Turned):
                _note(done, group, "refused", fault.code)
            else:
                if fault.everything:
                    if not _went(done):
                        raise _busy(fault) from None
                    stopped = fault.code
                _note(done, group, "not_sent", fault.code)
        except Lost as lost:
            stopped = "AfterUnknown"
            _note(done, group, "unknown", lost.code, cost_of)
        except ProviderMisconfigured as wrong:
            if not _went(done):
                raise
            stopped = wrong.code
            _note(done, group, "not_sent", stopped)
    return tuple(done[id(each)] for each in batch)


def _going(done: dict[int, Result], group: Sequence[Outgoing], look: Look) -> Sequence[Outgoing]:
    """Those of a group who may still be written to; the others are noted."""
    going = look(group)
    kept = set(map(id, going))
    _note(done, [each for each in group if id(each) not in kept], "not_sent", WITHHELD)
    return going


def _busy(fault: NotSent) -> ProviderBusy:
    return ProviderBusy(fault.code, retry_after=fault.retry_after, throttled=fault.throttled)


def singly(batch: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Each message in a call of its own."""
    return [[each] for each in batch]


def _went(done: Mapping[int, Result]) -> bool:
    """Whether anything went out, may have, or is decided: then what is known is answered."""
    return any(each.status != "not_sent" for each in done.values())


def _note(
    done: dict[int, Result],
    group: Sequence[Outgoing],
    status: Status,
    code: str,
    cost_of: Callable[[Outgoing], int] = lambda _: 0,
) -> None:
    for each in group:
        done[id(each)] = Result(each.delivery_id, status, code, cost_micro=cost_of(each))


# ---------------------------------------------------------------- what an answer says


def require_taken(status: int, headers: Mapping[str, str]) -> None:
    """See that a status says nothing against a request, before anybody looks at the body.

    Args:
        headers: by names in lower case.

    Raises:
        NotSent: it was not carried out, for certain.
        Lost: nobody knows.
    """
    if status == 429 or (status == 503 and "retry-after" in headers):
        raise NotSent(f"Http{status}", throttled=True, retry_after=retry_after(headers))
    if status >= 500 or status < 200:
        raise Lost(f"Http{status}")


def retry_after(headers: Mapping[str, str]) -> int:
    """Seconds that a provider asks for; a date counts as a minute, what makes no sense as a second."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and len(said) < 10:
        return max(1, min(int(said), RETRY_AFTER_MAX))
    return 60 if said else 1


def nothing_written(fault: BaseException, outer: BaseException | None) -> bool:
    """Whether a fault of an SDK says for certain that not a byte of the request left us.

    SDKs wrap what their HTTP library raised; its class is looked for in the chain, as far as it belongs to this call.

    Args:
        outer: what was being handled when the call was made.
    """
    names = {f"{type(each).__module__.partition('.')[0]}.{type(each).__name__}" for each in _chain(fault, outer)}
    kinds = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
    return bool(names & _NOT_CONNECTED) or any(isinstance(each, kinds) for each in _chain(fault, outer))


_NOT_CONNECTED = {
    "requests.ConnectTimeout",
    "urllib3.NewConnectionError",
    "urllib3.NameResolutionError",
    "urllib3.ConnectTimeoutError",
    "botocore.ConnectTimeoutError",
    "botocore.EndpointConnectionError",
}


def _chain(fault: BaseException, outer: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [fault]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or each is outer or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "inner_exception", None), *each.args]
        waiting.append(getattr(each, "reason", None))


def handled() -> BaseException | None:
    """What is being handled just now, for `nothing_written`."""
    return sys.exc_info()[1]


def is_mainland(number: str) -> bool:
    """Whether a number in E.164 is a mobile number of mainland China."""
    return number.startswith("+861") and len(number) == 14
