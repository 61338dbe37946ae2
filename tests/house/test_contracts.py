"""What holds everywhere, or the house is not in order."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from chalice.app import Chalice
from chalice.config import Config
from chalice.deploy.validate import validate_configuration
from openapi_spec_validator import validate

import chalicelib
from chalicelib.api import openapi, problems
from chalicelib.api.errors import Unexpected
from chalicelib.api.policy import POLICY
from chalicelib.api.routing import FINDERS, ROUTES, Route, Routes
from chalicelib.identity.permissions import ROLES, Permission
from chalicelib.kernel.errors import Refusal, Trouble
from chalicelib.kernel.records import Record
from chalicelib.members.errors import IdentifierTaken
from local.settings import ROOT


def modules() -> list[ModuleType]:
    """Every module of the product."""
    found = [chalicelib]
    for info in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        found.append(importlib.import_module(info.name))
    return found


def routes() -> list[Route]:
    """Every route of the app."""
    importlib.import_module("app")
    return ROUTES


def subclasses(kind: Any) -> Iterator[Any]:
    """All classes below a class."""
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def faults() -> dict[str, Any]:
    """Every refusal and trouble of the product, by code."""
    modules()
    found = [*subclasses(Refusal), *subclasses(Trouble)]
    return {each.code: each for each in found if each.__module__.startswith("chalicelib.")}


def test_every_refusal_and_trouble_has_a_status_and_every_status_has_a_class() -> None:
    assert set(problems.STATUS) == set(faults())


def test_no_two_refusals_share_a_code() -> None:
    kinds = [each for each in {*subclasses(Refusal), *subclasses(Trouble)} if each.__module__.startswith("chalicelib")]
    assert len({each.code for each in kinds}) == len(kinds)


def test_trouble_is_503_and_refusals_are_4xx_except_our_own_fault() -> None:
    for code, kind in faults().items():
        expected = range(503, 504) if issubclass(kind, Trouble) else range(400, 500)
        assert problems.STATUS[code] in expected or kind is Unexpected, code


def test_every_refusal_is_told_in_one_sentence() -> None:
    for kind in faults().values():
        title = problems.title_of(kind)
        assert 5 <= len(title) <= 120, kind
        assert not title.endswith("."), kind


def test_what_never_leaves_a_service_is_no_refusal() -> None:
    from chalicelib.members.store import NumberTaken
    from chalicelib.points.errors import AccountMoved, EntryKnown

    for kind in (AccountMoved, EntryKnown, NumberTaken):
        assert not issubclass(kind, Refusal | Trouble), kind


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public functions, classes and methods that a module defines."""
    for name, value in list(vars(module).items()):
        if name.startswith("_") or "[" in name or getattr(value, "__module__", None) != module.__name__:
            continue  # `Page[X]` is made by pydantic, not written by anyone
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for inner, method in list(vars(value).items()):
                function = method.fget if isinstance(method, property) else getattr(method, "__func__", method)
                if not inner.startswith("_") and inspect.isfunction(function):
                    yield f"{module.__name__}.{name}.{inner}", function


def test_everything_public_says_what_it_is_for() -> None:
    silent = [module.__name__ for module in modules() if not (module.__doc__ or "").strip()]
    for module in modules():
        for name, value in public(module):
            own = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
            if not (own or "").strip():
                silent.append(name)
    assert silent == []


# ---------------------------------------------------------------- routes


def test_a_route_without_a_policy_cannot_be_declared() -> None:
    routes_ = Routes("members")
    before = len(ROUTES)
    for declare, path in ((routes_.get, "/x"), (routes_.post, "/health"), (routes_.get, "/members/{id}")):
        with pytest.raises(TypeError, match=r"policy\.py"):
            declare(path)
    assert len(ROUTES) == before


def test_every_rule_is_of_a_route_and_names_a_finder_of_it() -> None:
    assert {f"{route.method} {route.path}" for route in routes()} == set(POLICY)
    for route in routes():
        if route.rule.of:
            part = FINDERS[route.rule.of].part
            assert part in route.path_types or (part == "body" and route.body is not None), route.path
        if route.rule.at_shop:
            assert route.body is not None
            assert "shop_id" in route.body.model_fields
    assert {rule.of for rule in POLICY.values()} - {""} == set(FINDERS)


def test_a_route_whose_parameters_have_no_pattern_cannot_be_declared() -> None:
    routes_ = Routes("members")
    before = len(ROUTES)

    def of_text(member_id: str) -> str:
        return member_id

    def of_another(other: int) -> str:
        return str(other)

    for function in (of_text, of_another):
        with pytest.raises((TypeError, KeyError)):
            routes_.get("/members/{member_id}")(function)
    assert len(ROUTES) == before


def test_only_these_routes_are_open() -> None:
    assert {route.path for route in routes() if route.rule.open} == {
        "/health",
        "/openapi.json",
        "/receipt-keys",
        "/auth/otp-requests",
        "/auth/tokens",
        "/auth/keys",
        "/opt-outs/{token}",
        "/provider-callbacks/{provider}/{secret}",
        "/preferences/{token}",
    }


def test_every_permission_is_asked_for_by_a_route_and_held_by_a_role() -> None:
    asked = {each for route in routes() for each in (route.rule.needs, *route.rule.beyond)}
    assert asked - {None} == set(Permission)
    assert frozenset().union(*ROLES.values()) == set(Permission)


def test_every_route_of_the_app_is_a_typed_one() -> None:
    from app import app

    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert served == {(route.method, "/v1" + route.path) for route in routes()}
    assert len(served) == len(routes())


def test_commands_that_move_points_need_a_key_and_no_read_takes_one() -> None:
    for route in routes():
        if route.function.__name__ in ("spend_points", "adjust_points"):
            assert route.keyed is True
        if route.method == "GET":
            assert route.keyed is None


def is_service(module: Any) -> bool:
    """Whether it is a module of use cases: `<domain>.service`, or one of those that it is split into."""
    return inspect.ismodule(module) and module.__name__.split(".")[2:3] == ["service"]


def service_of(route: Route) -> Any:
    """The use case that a route calls, or None when it calls none."""
    tree = ast.parse(inspect.getsource(route.function))
    known = vars(inspect.getmodule(route.function))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = known.get(node.value.id)
            if not is_service(module):
                continue
            function = getattr(module, node.attr)
            if function.__name__ not in ("book_of",):
                return function
    return None


def raises(function: Any) -> set[str]:
    """The refusals that a docstring's `Raises` names."""
    _, _, text = (function.__doc__ or "").partition("Raises:")
    known = {kind.__name__ for kind in faults().values()}
    return {word for word in re.findall(r"[A-Z][A-Za-z]+", text) if word in known}


@pytest.mark.parametrize("route", [*routes()], ids=lambda route: route.function.__name__)
def test_a_route_lists_all_that_its_use_case_says_it_refuses(route: Route) -> None:
    service = service_of(route)
    if service is None:
        free = ("/health", "/openapi.json", "/whoami", "/tiers", "/program")
        assert route.path in free, "a route calls one service function"
        return
    listed = {kind.__name__ for kind in openapi._refusals(route)}
    assert raises(service) - listed == set()


def test_most_routes_have_a_use_case_that_says_what_it_refuses() -> None:
    checked = [route for route in routes() if service_of(route) is not None and raises(service_of(route))]
    assert len(checked) >= 12


def test_a_family_of_refusals_is_never_listed_in_place_of_its_members() -> None:
    assert all(IdentifierTaken not in route.refuses for route in routes())


def test_only_the_typed_edge_imports_chalice() -> None:
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "chalicelib").rglob("*.py")
        if re.search(r"^\s*(from|import) chalice\b", path.read_text(), re.MULTILINE)
    }
    assert importing == {"chalicelib/api/routing.py"}


# ---------------------------------------------------------------- the document


def document() -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    routes()
    made: dict[str, Any] = json.loads(json.dumps(openapi.document()))
    return made


def test_the_document_is_valid_openapi_3_1() -> None:
    made = document()
    assert made["openapi"].startswith("3.1")
    validate(made)


def test_everything_that_the_document_refers_to_is_there_and_used() -> None:
    text = json.dumps(document())
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named == set(document()["components"]["schemas"])


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    operations = [op for path in document()["paths"].values() for op in path.values()]
    assert len({op["operationId"] for op in operations}) == len(operations) == len(routes())
    assert all(len(op["summary"]) > 10 for op in operations)
    assert all("401" in op["responses"] or op.get("security") == [] for op in operations)


# ---------------------------------------------------------------- make, chalice


def test_make_help_lists_every_verb() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert phony is not None
    verbs = {verb for verb in phony[1].replace("\\", " ").split() if not verb.startswith("_")}
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("make ")}
    assert listed == verbs
    assert {"setup", "run", "test", "check", "bench", "token", "docs", "help"} <= listed


def chalice_config() -> dict[str, Any]:
    """What `.chalice/config.json` says."""
    found: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
    return found


@pytest.mark.parametrize("stage", ["dev", "stg", "prod"])
def test_chalice_finds_the_app_fit_for_every_stage(stage: str) -> None:
    from app import app

    assert isinstance(app, Chalice)
    params = {"chalice_app": app, "project_dir": str(ROOT)}
    config = Config(stage, user_provided_params=params, config_from_disk=chalice_config())
    validate_configuration(config)
    assert config.chalice_stage == stage
    assert config.api_gateway_stage == "api"
    assert config.app_name == app.app_name
    assert 0 < config.lambda_timeout <= 29, "API Gateway waits no longer"


def test_chalice_would_refuse_a_route_that_api_gateway_refuses() -> None:
    unfit = Chalice(app_name="unfit", configure_logs=False)
    unfit.route("/v1/members/")(dict)
    config = Config("dev", user_provided_params={"chalice_app": unfit, "project_dir": str(ROOT)})
    with pytest.raises(ValueError, match="trailing slash"):
        validate_configuration(config)


def test_the_stages_of_chalice_are_the_ones_we_deploy() -> None:
    assert set(chalice_config()["stages"]) == {"dev", "stg", "prod"}
    assert chalice_config()["version"] == "2.0"
    assert chalice_config()["automatic_layer"] is False


def test_no_test_file_is_left_out_of_the_folders_that_the_house_knows() -> None:
    known = {
        "unit",
        "table",
        "http",
        "journeys",
        "samples",
        "house",
        "infra",
        "e2e",
        "faults",
        "bench",
        "local",
        "contract",
        "sim",
        "sends",
        "proof",
        "backup",
        "providers",
        "web",
    }
    found = {path.relative_to(ROOT / "tests").parts[0] for path in Path(ROOT / "tests").rglob("test_*.py")}
    assert found <= known


def test_no_record_has_what_a_copy_would_lose() -> None:
    """`Record.model_copy` copies values alone: there must be no private and no extra attributes."""
    modules()
    records = {each for each in subclasses(Record) if each.__module__.startswith("chalicelib.")}
    assert len(records) > 300
    assert [each for each in records if each.__private_attributes__ or each.model_config.get("extra") == "allow"] == []
