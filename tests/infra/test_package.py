"""What is deployed: the same inputs give the same bytes, and what is in them runs."""

import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from local.deploy import artifact
from local.deploy.deploy import zips
from local.deploy.environments import parameters
from local.deploy.functions import LAYERS
from local.deploy.package import package
from local.deploy.refusals import EnvironmentWrong, NotPackaged
from local.settings import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make package ENV=dev` makes, where .venv has the runtime's Python."""
    if sys.version_info[:2] != artifact.RUNTIME:
        pytest.skip("only the runtime's Python 3.13 can package; .venv has another")
    return package("dev", out=tmp_path_factory.mktemp("package") / "dev")


def test_the_folder_holds_all_that_is_deployed(built: Path) -> None:
    wanted = {
        "app.zip",
        "app.template.json",
        "data.template.json",
        "web.template.json",
        "parameters.json",
        *(f"{name}-layer.zip" for name in LAYERS),
    }
    assert {path.name for path in built.iterdir()} == wanted
    digests = {key: hashlib.sha256((built / name).read_bytes()).hexdigest() for key, name in zips().items()}
    given = json.loads((built / "parameters.json").read_text())
    assert given == {**parameters("dev"), **{key: f"code/{digest}.zip" for key, digest in digests.items()}}


def test_the_same_inputs_give_the_same_bytes_from_another_folder(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "a folder with a longer name"
    with zipfile.ZipFile(built / "app.zip") as packed:
        names = [name for name in packed.namelist() if not name.endswith(".pyc")]
        packed.extractall(again, names)
    artifact.compile_tree(again)
    artifact.zip_tree(again, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (built / "app.zip").read_bytes()


@pytest.mark.parametrize(
    ("layer", "holds"),
    [("lake", "httpfs.duckdb_extension"), ("senders", "python/alibabacloud_dysmsapi20170525/client.py")],
)
def test_a_layer_has_its_wheels_where_lambda_looks_and_the_same_bytes_again(
    built: Path, tmp_path: Path, layer: str, holds: str
) -> None:
    again = tmp_path / "a folder with a longer name"
    with zipfile.ZipFile(built / f"{layer}-layer.zip") as packed:
        names = packed.namelist()
        packed.extractall(again, [name for name in names if not name.endswith(".pyc")])
    assert {name.split("/")[0] for name in names} == {"python"}
    assert any(name.endswith(holds) for name in names)
    artifact.compile_tree(again, "/opt/")
    artifact.zip_tree(again, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (built / f"{layer}-layer.zip").read_bytes()


def test_a_wheel_brings_the_package_of_its_name_or_those_that_it_lists(tmp_path: Path) -> None:
    for name, listed in (("apple-1.0", None), ("pear-2.0", "pear\nstem\n"), ("quince_core-3.0", "quince\n")):
        info = tmp_path / f"{name}.dist-info"
        info.mkdir()
        if listed:
            (info / "top_level.txt").write_text(listed)
    for name in ("apple", "pear", "stem", "quince"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    assert artifact.packages_in(tmp_path) == ["apple", "pear", "quince"]
    artifact.check_packages(tmp_path, "x86_64", artifact.packages_in(tmp_path))
    (tmp_path / "quince" / "__init__.py").write_text("import nobody\n")
    with pytest.raises(NotPackaged, match="nobody"):
        artifact.check_packages(tmp_path, "x86_64", artifact.packages_in(tmp_path))


def test_the_zip_has_byte_code_that_is_never_checked_and_nothing_that_only_we_need(built: Path) -> None:
    with zipfile.ZipFile(built / "app.zip") as packed:
        entries = {entry.filename: entry for entry in packed.infolist()}
        code = packed.read("__pycache__/app.cpython-313.pyc")
    assert int.from_bytes(code[4:8], "little") == 0b01
    sources = {name for name in entries if name.endswith(".py")}
    assert len(sources) == sum(name.endswith(".pyc") for name in entries)
    tops = {name.split("/")[0] for name in entries}
    assert {"app.py", "chalice", "chalicelib", "pydantic", "pydantic_core", "aws_lambda_powertools"} <= tops
    assert not tops & {"boto3", "botocore", "moto", "pytest", "local", "tests", "bin"}
    assert {name for name in sources if name.startswith("chalice/")} == {"chalice/__init__.py", "chalice/app.py"}
    assert {(entry.date_time, entry.external_attr >> 16) for entry in entries.values()} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644)
    }


@pytest.mark.parametrize("made", ["app", *(f"{name}-layer" for name in LAYERS)])
def test_libraries_of_another_machine_are_refused(built: Path, tmp_path: Path, made: str) -> None:
    with zipfile.ZipFile(built / f"{made}.zip") as packed:
        libraries = [name for name in packed.namelist() if ".so" in name or name.endswith(".duckdb_extension")]
        packed.extractall(tmp_path, libraries)
    artifact.check_machines(tmp_path, "arm64")
    with pytest.raises(NotPackaged, match="not a library for x86_64"):
        artifact.check_machines(tmp_path, "x86_64")


def test_a_handler_that_does_not_import_from_the_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("def work(event, context): ...\n")
    (tmp_path / "bad.py").write_text("import chalicelib\n")
    artifact.check_handlers(tmp_path, "x86_64", ["good.work"])
    for handler in ("bad.work", "good.nobody", "nobody.work"):
        with pytest.raises(NotPackaged, match=handler):
            artifact.check_handlers(tmp_path, "x86_64", [handler])


@pytest.mark.parametrize(
    ("tag", "architecture", "fits"),
    [
        ("py3-none-any", "arm64", True),
        ("cp313-cp313-manylinux_2_17_aarch64", "arm64", True),
        ("cp313-cp313-manylinux_2_17_x86_64", "arm64", False),
        ("cp313-cp313-musllinux_1_1_aarch64", "arm64", False),
        ("cp313-cp313-macosx_11_0_arm64", "arm64", False),
        ("cp38-abi3-manylinux2014_x86_64", "x86_64", True),
    ],
)
def test_a_wheel_has_to_be_for_the_machine(tag: str, architecture: str, fits: bool) -> None:
    assert artifact.runs_on(tag, architecture) is fits


def test_a_requirement_without_its_wheel_is_noticed(tmp_path: Path) -> None:
    wanted = artifact.requirements((ROOT / "requirements.txt").read_text())
    for name, version in wanted.items():
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "WHEEL").write_text("Tag: py3-none-any\n")
    artifact.check_wheels(tmp_path, "arm64")
    shutil.rmtree(info)
    with pytest.raises(NotPackaged, match=name):
        artifact.check_wheels(tmp_path, "arm64")


def test_an_older_interpreter_is_told_how_to_get_the_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "RUNTIME", (3, 99))
    with pytest.raises(NotPackaged, match="make setup"):
        artifact.build(Path("never"), "arm64", [], Path("never"))


@pytest.mark.parametrize("change", ["Nobody=1", "TimeZone", ""])
def test_only_parameters_that_there_are_can_be_set(change: str) -> None:
    with pytest.raises(EnvironmentWrong):
        parameters("dev", [change])


def test_an_environment_has_to_be_named() -> None:
    for env in ("", "qa", "../../etc"):
        with pytest.raises(EnvironmentWrong, match="dev, prod, stg"):
            parameters(env)
