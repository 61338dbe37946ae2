"""What the pump of a laptop feeds is what is deployed: no function, queue, stream or schedule is left out."""

from local.deploy.functions import FUNCTIONS
from local.pump.__main__ import STREAMED as READERS
from local.pump.functions import ANSWERING, CLOCKED, STREAMED, asked_functions, fed_functions
from tests.infra.policies import Stacks, of, spelt

FED = {each.name: each for each in fed_functions()}
NAMES = {each.id: each.name for each in FUNCTIONS}


def _sources(stacks: Stacks) -> dict[str, str]:
    """By the names of functions, what the event source of each reads."""
    found = (each["Properties"] for _, each in of(stacks.app, "Lambda::EventSourceMapping"))
    return {NAMES[spelt(each["FunctionName"])]: spelt(each["EventSourceArn"]) for each in found}


def test_every_function_is_fed_asked_or_the_api(stacks: Stacks) -> None:
    deployed = {NAMES[name] for name, _ in of(stacks.app, "Lambda::Function")}
    assert deployed == {"api", *FED, *asked_functions()} - {ANSWERING}
    asked = {each.name for each in FUNCTIONS if each.asked}
    assert asked <= asked_functions().keys()
    assert not asked & FED.keys()


def test_every_queue_that_is_read_is_read_on_a_laptop_too(stacks: Stacks) -> None:
    names = {
        f"{name}Arn": spelt(each["Properties"]["QueueName"]).removeprefix("${Stack}-")
        for name, each in of(stacks.data, "SQS::Queue")
    }
    deployed = {name: names[source] for name, source in _sources(stacks).items() if source in names}
    assert deployed == {name: each.queue for name, each in FED.items() if each.queue is not None}


def test_who_reads_the_stream_reads_it_on_a_laptop_too(stacks: Stacks) -> None:
    deployed = {name for name, source in _sources(stacks).items() if source == "CoreTableStreamArn"}
    assert deployed == set(STREAMED) == READERS.keys()


def test_who_is_started_by_the_clock_is_started_on_a_laptop_too(stacks: Stacks) -> None:
    targets = {
        spelt(each["Properties"]["Target"]["Arn"]) for _, each in of(stacks.app, "Scheduler::Schedule")
    } & NAMES.keys()
    assert {NAMES[each] for each in targets} == set(CLOCKED)
