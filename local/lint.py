"""Rules of the house that no other tool knows: `python -m local.lint`, part of `make check`.

Each says what to do instead. A place that may do it all the same stands in `MAY`, with the reason.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.settings import ROOT

Found = Iterator[ast.AST]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        finds: the nodes of a syntax tree that break it.
        says: what is wrong and what to do instead.
        where: beginnings of paths that it holds for.
    """

    finds: Callable[[ast.AST], Found]
    says: str
    where: tuple[str, ...] = ("chalicelib/", "app.py")


def _dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written; calls in between as `a().b`."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_dotted(node.func)}()"
    return node.id if isinstance(node, ast.Name) else ""


def _calls(*names: str) -> Callable[[ast.AST], Found]:
    def finds(tree: ast.AST) -> Found:
        return (each for each in ast.walk(tree) if isinstance(each, ast.Call) and _dotted(each.func) in names)

    return finds


def _imports(*names: str) -> Callable[[ast.AST], Found]:
    def finds(tree: ast.AST) -> Found:
        for each in ast.walk(tree):
            modules = [alias.name for alias in each.names] if isinstance(each, ast.Import) else []
            if isinstance(each, ast.ImportFrom) and each.module:
                modules = [each.module]
            if any(module.partition(".")[0] in names for module in modules):
                yield each

    return finds


def _both(*some: Callable[[ast.AST], Found]) -> Callable[[ast.AST], Found]:
    return lambda tree: (each for finds in some for each in finds(tree))


def _words(pattern: str) -> Callable[[ast.AST], Found]:
    """Strings that are called for by name: operations of DynamoDB."""

    def finds(tree: ast.AST) -> Found:
        for each in ast.walk(tree):
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and re.fullmatch(pattern, each.value):
                yield each

    return finds


def _passes(*arguments: tuple[str, bool]) -> Callable[[ast.AST], Found]:
    """Calls with an argument of that value."""

    def finds(tree: ast.AST) -> Found:
        for each in ast.walk(tree):
            for keyword in each.keywords if isinstance(each, ast.Call) else ():
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in arguments:
                    yield each

    return finds


def _goes_on(last: ast.stmt) -> bool:
    """Whether what was caught is raised again."""
    return isinstance(last, ast.Raise) and last.exc is None


def _broad(tree: ast.AST) -> Found:
    for each in ast.walk(tree):
        if isinstance(each, ast.ExceptHandler) and not _goes_on(each.body[-1]):
            kinds = each.type.elts if isinstance(each.type, ast.Tuple) else [each.type]
            if any(kind is None or _dotted(kind) in ("Exception", "BaseException") for kind in kinds):
                yield each


_SECRET = re.compile(r"(^|_)(digest|hmac|mac|signature|secret|otp|code_hash)(_of|s)?$")


def _compared(tree: ast.AST) -> Found:
    for each in ast.walk(tree):
        if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.Eq | ast.NotEq):
            names = (_dotted(side).rpartition(".")[2].removesuffix("()") for side in (each.left, *each.comparators))
            if any(_SECRET.search(name) for name in names):
                yield each


_LOGS = re.compile(r"(^|\.)(logger\(\)|logger|log|logging)\.(debug|info|warning|error|exception|critical)$")
_PERSONAL = {"name", "mobile", "email", "birthday", "id_number", "wechat", "address", "code", "token", "secret", "body"}


def _logged(tree: ast.AST) -> Found:
    """Logs of sentences that are put together, or of what a person is called and reached by."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and _LOGS.search(_dotted(each.func)):
            if each.args and not isinstance(each.args[0], ast.Constant):
                yield each
            values = [*each.args[1:], *(keyword.value for keyword in each.keywords)]
            parts = (part for value in values for part in ast.walk(value))
            if any(isinstance(part, ast.Attribute) and part.attr in _PERSONAL for part in parts):
                yield each


def _built(tree: ast.AST) -> Found:
    """Statements of a query language that are put together from parts."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and _dotted(each.func).endswith((".execute", ".executescript")):
            yield from (each for said in each.args[:1] if isinstance(said, ast.JoinedStr | ast.BinOp))


EVERYWHERE = ("chalicelib/", "local/", "app.py")

RULES: Mapping[str, Rule] = {
    "scan": Rule(
        _words("Scan|ParallelScan"),
        "A Scan reads the whole table and its bill grows with the business. Give the question a key or an index.",
    ),
    "statement": Rule(
        _both(_words("(Batch)?ExecuteStatement|ExecuteTransaction"), _built),
        "A statement put together from parts can be talked into another one. Pass values as parameters.",
        EVERYWHERE,
    ),
    "clock": Rule(
        _calls("datetime.now", "datetime.today", "datetime.utcnow", "date.today", "time.time", "time.time_ns"),
        "Only runtime/wiring.py reads the clock. Take `now` as an argument, or tests cannot say what time it is.",
    ),
    "chance": Rule(
        _imports("random"),
        "`random` can be foretold. Take chance from house.draw, or secrets.token_bytes in runtime/wiring.py.",
    ),
    "broad": Rule(
        _broad,
        "Whoever catches all hides bugs. Catch what you can answer; only an edge (jobs.py, routing.py) takes all.",
    ),
    "compared": Rule(
        _compared,
        "== stops at the first byte that differs, which can be measured. Compare secrets by hmac.compare_digest.",
        tuple(
            f"chalicelib/{each}/"
            for each in ("api", "identity", "integrations", "kernel", "privacy", "signin", "storage")
        ),
    ),
    "logged": Rule(
        _logged,
        "Logs are kept for months and read by many. Log a constant message and ids as fields, nobody's name or number.",
    ),
    "evaluated": Rule(
        _both(_calls("eval", "exec", "__import__", "yaml.load"), _imports("pickle", "marshal", "shelve", "dill")),
        "What is read would be run. Parse it: json into a model, yaml.safe_load.",
        EVERYWHERE,
    ),
    "unverified": Rule(
        _both(
            _passes(("verify", False), ("check_hostname", False), ("verify_signature", False)),
            _calls("ssl._create_unverified_context"),
        ),
        "Without verifying, whoever is in between is believed. Trust the certificate instead.",
        EVERYWHERE,
    ),
    "shell": Rule(
        _both(_passes(("shell", True)), _calls("os.system", "os.popen", "subprocess.getoutput")),
        "A shell reads words as commands. Give subprocess a list.",
        EVERYWHERE,
    ),
}

MAY: Mapping[tuple[str, str], str] = {
    ("clock", "chalicelib/runtime/wiring.py"): "the clock of the house",
    ("chance", "chalicelib/storage/table.py"): "how long a retry waits is no secret",
    ("chance", "chalicelib/storage/batches.py"): "how long a retry waits is no secret",
    ("broad", "chalicelib/api/routing.py"): "the edge of requests",
    ("broad", "chalicelib/campaigns/jobs.py"): "an edge: the next round takes it up again",
    ("broad", "chalicelib/deliveries/jobs.py"): "an edge: the queue keeps what failed",
    ("broad", "chalicelib/deliveries/service/asking.py"): "whatever a provider raises, the message may have gone out",
    ("broad", "chalicelib/jobs/jobs.py"): "an edge: the queue keeps what failed",
    ("broad", "chalicelib/lake/jobs.py"): "an edge: the stream keeps what failed",
    ("broad", "chalicelib/storage/functions.py"): "stands for Lambda, which tells any fault by its name alone",
    ("broad", "chalicelib/journeys/jobs.py"): "an edge: the queue keeps what failed",
    (
        "broad",
        "chalicelib/journeys/service/stepping.py",
    ): "one way's fault is not the others': it is tried again, and told",
    ("broad", "chalicelib/lane/jobs.py"): "an edge: the queue keeps what failed",
    ("broad", "chalicelib/notices/jobs.py"): "an edge: the queue keeps what failed",
    **{
        ("statement", f"chalicelib/lake/{name}.py"): "made of names, days and numbers of ours; no caller says any of it"
        for name in ("duck", "merging", "service")
    },
    ("broad", "chalicelib/relay/jobs.py"): "an edge: the stream keeps what failed",
    ("broad", "chalicelib/watch/jobs.py"): "an edge: the queue keeps what failed",
    ("broad", "chalicelib/receipts/jobs.py"): "an edge: the queue keeps what failed",
    ("broad", "chalicelib/providers/aliyun.py"): "its SDK raises what it likes, and whatever is not certain is unknown",
    (
        "broad",
        "chalicelib/providers/aws.py",
    ): "its SDK raises what its parsers do, and whatever is not certain is unknown",
    (
        "broad",
        "chalicelib/providers/tencent.py",
    ): "its SDK raises what it likes, and whatever is not certain is unknown",
}
"""By rule and file: why it may."""


def broken(path: str, text: str) -> Iterator[tuple[int, str, str]]:
    """What breaks a rule in a file, whatever it may: line, name of the rule, what it says."""
    tree = ast.parse(text)
    for name, rule in RULES.items():
        if path.startswith(rule.where):
            for node in rule.finds(tree):
                yield getattr(node, "lineno", 1), name, rule.says


def files() -> Iterator[Path]:
    """What is looked at."""
    yield ROOT / "app.py"
    for folder in ("chalicelib", "local"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def main() -> None:
    """Print what breaks a rule; the exit code says whether anything does."""
    faults, used = [], set()
    for file in files():
        path = file.relative_to(ROOT).as_posix()
        for line, name, says in broken(path, file.read_text()):
            if (name, path) in MAY:
                used.add((name, path))
            else:
                faults.append(f"{path}:{line}: {name}: {says}")
    faults += [f"local/lint.py: {path} no longer needs its exception from {name}" for name, path in MAY.keys() - used]
    print("\n".join(faults), end="\n" if faults else "")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
