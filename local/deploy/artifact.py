"""The zip that Lambda runs: the app, Chalice's runtime, the wheels of requirements.txt. Same inputs, same bytes."""

import hashlib
import platform
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.deploy.refusals import NotPackaged
from local.settings import ROOT, environment

RUNTIME = (3, 13)
GLIBC_MINORS = range(17, 35)
"""python3.13 on Lambda is Amazon Linux 2023, which has glibc 2.34."""

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
ELF_MACHINES = {"arm64": 183, "x86_64": 62}
UNZIPPED_MAX = 250 * 1024 * 1024
"""Lambda's limit."""

PRUNED = (
    "bin/*",
    "**/__pycache__/*",
    "**/*.pyi",
    "**/tests/*",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "phonenumbers/geodata/*",
    "phonenumbers/carrierdata/*",
    "phonenumbers/tzdata/*",
)
"""What no handler needs: scripts, stubs, what pip notes, the towns and carriers of numbers."""

APP_LOCK = "requirements.txt"

_WHEN = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Artifact:
    """A zip and what can be said of it."""

    path: Path
    sha256: str
    zipped: int
    unzipped: int
    files: int


def build(target: Path, architecture: str, handlers: Iterable[str], scratch: Path) -> Artifact:
    """Make the zip and check what is in it.

    Raises:
        NotPackaged: the interpreter is not the runtime's, a wheel is missing or foreign, a handler does not import.
    """
    _must_be_the_runtime()
    tree = scratch / "tree"
    _install_wheels(tree, architecture, APP_LOCK)
    check_wheels(tree, architecture)
    _prune(tree)
    _add_app(tree)
    compile_tree(tree)
    zip_tree(tree, target)

    unpacked = scratch / "unpacked"
    with zipfile.ZipFile(target) as packed:
        packed.extractall(unpacked)
    check_machines(unpacked, architecture)
    check_handlers(unpacked, architecture, handlers)

    sizes = [path.stat().st_size for path in _files(unpacked)]
    if sum(sizes) > UNZIPPED_MAX:
        raise NotPackaged(f"{sum(sizes):,} bytes unzipped are more than Lambda takes ({UNZIPPED_MAX:,}).")
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    return Artifact(target, digest, target.stat().st_size, sum(sizes), len(sizes))


def build_layer(target: Path, architecture: str, lock: str, scratch: Path) -> Artifact:
    """Make the zip of a layer: the wheels of a lock file, in the folder where Lambda's Python looks for them.

    Raises:
        NotPackaged: the interpreter is not the runtime's, a wheel is missing or foreign, a package does not import.
    """
    _must_be_the_runtime()
    tree = scratch / "tree"
    packages = tree / "python"
    _install_wheels(packages, architecture, lock)
    check_wheels(packages, architecture, lock)
    _prune(packages)
    compile_tree(tree, "/opt/")
    zip_tree(tree, target)

    unpacked = scratch / "unpacked"
    with zipfile.ZipFile(target) as packed:
        packed.extractall(unpacked)
    check_machines(unpacked, architecture)
    check_packages(unpacked / "python", architecture, packages_in(unpacked / "python"))
    sizes = [path.stat().st_size for path in _files(unpacked)]
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    return Artifact(target, digest, target.stat().st_size, sum(sizes), len(sizes))


def _must_be_the_runtime() -> None:
    """Byte code is of one minor version only."""
    if sys.version_info[:2] != RUNTIME:
        raise NotPackaged(
            f"The zip holds byte code for Lambda's Python 3.13, and .venv has {platform.python_version()}. "
            "Get a 3.13 (`pyenv install 3.13`, or python3.13 from your system), then `rm -rf .venv && make setup`."
        )


# ---------------------------------------------------------------- the wheels


def _install_wheels(tree: Path, architecture: str, lock: str) -> None:
    """Put the wheels of a lock file for the function's machine into a folder."""
    machine = MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC_MINORS)] + [f"manylinux2014_{machine}"]
    command = [
        sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", "--no-compile",
        "--target", str(tree), "--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation", "cp",
        "--python-version", "3.13", *(part for each in platforms for part in ("--platform", each)),
        "-r", str(ROOT / lock),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPackaged(f"pip has not all wheels for {architecture}:\n{done.stderr.strip()}")


def requirements(text: str) -> dict[str, str]:
    """Names and versions of a lock file, of what the runtime needs."""
    form = r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?: *; *([^\\\n]+))?"
    return {_plain(name): version for name, version, only in re.findall(form, text, re.MULTILINE) if _wanted(only)}


def _wanted(marker: str) -> bool:
    """Whether a lock file's line is for the runtime: CPython 3.13 on Linux. Of markers it knows those that we have."""
    return not re.search(r"sys_platform == 'win32'|python_full_version < '3\.1[123]'", marker)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_wheels(tree: Path, architecture: str, lock: str = APP_LOCK) -> None:
    """See that every requirement is there, in its version, for the function's machine.

    Raises:
        NotPackaged: one is not.
    """
    wanted = requirements((ROOT / lock).read_text())
    found = {}
    for info in tree.glob("*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        found[_plain(name)] = version
        for tag in re.findall(r"^Tag: (\S+)$", (info / "WHEEL").read_text(), re.MULTILINE):
            if not runs_on(tag, architecture):
                raise NotPackaged(f"{info.name} is a wheel for {tag}, not for {architecture}.")
    if found != wanted:
        differ = sorted(set(found.items()) ^ set(wanted.items()))
        raise NotPackaged(f"The wheels are not those of {lock}: {differ}")


def runs_on(tag: str, architecture: str) -> bool:
    """Whether a wheel's tag fits the runtime."""
    *_, abi, system = tag.split("-")
    if system == "any":
        return abi == "none"
    return system.startswith("manylinux") and system.endswith("_" + MACHINES[architecture])


def _prune(tree: Path) -> None:
    for pattern in PRUNED:
        for path in tree.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
    for folder in sorted((path for path in tree.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


# ---------------------------------------------------------------- the app


def _add_app(tree: Path) -> None:
    """The app, and the two files of Chalice that `chalice package` vendors."""
    import chalice.app  # noqa: PLC0415  # only packaging needs it

    runtime = Path(chalice.app.__file__).parent
    (tree / "chalice").mkdir()
    for name in ("__init__.py", "app.py"):
        shutil.copyfile(runtime / name, tree / "chalice" / name)
    shutil.copyfile(ROOT / "app.py", tree / "app.py")
    for source in _files(ROOT / "chalicelib"):
        inside = source.relative_to(ROOT)
        if "__pycache__" in inside.parts or any(part.startswith(".") for part in inside.parts):
            continue
        (tree / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tree / inside)


_COMPILER = """
import importlib.util, marshal, os, sys
root = sys.argv[1]
for line in sys.stdin:
    name = line.rstrip("\\n")
    path = os.path.join(root, name)
    with open(path, "rb") as source:
        text = source.read()
    code = compile(text, sys.argv[2] + name, "exec", dont_inherit=True, optimize=0)
    data = bytearray(importlib.util.MAGIC_NUMBER) + (1).to_bytes(4, "little")
    data += importlib.util.source_hash(text) + marshal.dumps(code)
    head, tail = os.path.split(path)
    folder = os.path.join(head, "__pycache__")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, tail[:-3] + ".cpython-313.pyc"), "wb") as out:
        out.write(data)
"""
"""Hash-based byte code that is never checked against its source: nothing in /var/task ever changes."""


def compile_tree(tree: Path, there: str = "/var/task/") -> None:
    """Compile all sources in one fresh interpreter, in order, so that marshal sees the same references each time.

    Args:
        there: where Lambda unpacks them.
    """
    names = "".join(f"{path.relative_to(tree)}\n" for path in _files(tree) if path.suffix == ".py")
    env = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": environment()["PATH"]}
    command = [sys.executable, "-S", "-s", "-X", "utf8", "-c", _COMPILER, str(tree), there]
    done = subprocess.run(command, input=names, env=env, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPackaged(f"A source does not compile:\n{done.stderr}")


def zip_tree(tree: Path, target: Path) -> None:
    """Pack a folder: sorted, at one time, readable by all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in _files(tree):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), _WHEN)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes(), compresslevel=9)


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder, in an order that no file system chooses."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return iter(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


# ---------------------------------------------------------------- what came out


def check_machines(unpacked: Path, architecture: str) -> None:
    """See that every shared library is for the function's machine.

    Raises:
        NotPackaged: one is not.
    """
    for library in (*unpacked.rglob("*.so*"), *unpacked.rglob("*.duckdb_extension")):
        head = library.read_bytes()[:20]
        if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != ELF_MACHINES[architecture]:
            raise NotPackaged(f"{library.relative_to(unpacked)} is not a library for {architecture}.")


_IMPORTER = """
import importlib, sys
sys.path[:] = [*sys.argv[2:], *(p for p in sys.path if "site-packages" not in p)]
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
assert callable(handler), handler
found = importlib.import_module(module).__file__
assert found.startswith(sys.argv[-1]), found
"""


def check_handlers(unpacked: Path, architecture: str, handlers: Iterable[str]) -> None:
    """See that every handler imports from the zip alone, in a fresh interpreter, in Lambda's environment.

    Where the function's machine is not this one, this one's build of the compiled packages stands in for theirs.

    Raises:
        NotPackaged: one does not.
    """
    paths = [str(unpacked)]
    if MACHINES[architecture] != platform.machine():
        paths.insert(0, str(_stand_ins(unpacked)))
    env = {"REGULARS_STAGE": "dev", "AWS_REGION": "us-east-1", "PATH": environment()["PATH"], "LC_ALL": "C.UTF-8"}
    for handler in handlers:
        command = [sys.executable, "-S", "-s", "-B", "-W", "error::SyntaxWarning", "-c", _IMPORTER, handler, *paths]
        done = subprocess.run(command, env=env, cwd=unpacked, capture_output=True, text=True, check=False)
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or ["no word"]
            raise NotPackaged(f"The handler {handler} does not import from the zip: {why[0]}")


def packages_in(folder: Path) -> list[str]:
    """What the wheels in a folder bring: the package of their own name, or of another, which they then list."""
    found: set[str] = set()
    for info in folder.glob("*.dist-info"):
        own, listed = info.name.partition("-")[0], info / "top_level.txt"
        named = (folder / own).is_dir() or not listed.exists()
        found |= {own} if named else set(listed.read_text().split())
    return sorted(found)


_PACKAGES = """
import importlib, sys
sys.path[:] = [*sys.argv[2:], *(p for p in sys.path if "site-packages" not in p)]
for name in sys.argv[1].split(","):
    importlib.import_module(name)
"""


def check_packages(unpacked: Path, architecture: str, names: Iterable[str]) -> None:
    """See that every package of a layer imports from it alone, in a fresh interpreter.

    Raises:
        NotPackaged: one does not.
    """
    paths = [str(unpacked)]
    if MACHINES[architecture] != platform.machine():
        paths.insert(0, str(_stand_ins(unpacked)))
    command = [sys.executable, "-S", "-s", "-B", "-c", _PACKAGES, ",".join(names), *paths]
    done = subprocess.run(command, cwd=unpacked, env={"LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise NotPackaged(f"A package does not import from the layer: {why[0]}")


def _stand_ins(unpacked: Path) -> Path:
    """This machine's build of the packages that hold shared libraries."""
    folder = unpacked.parent / "stand-ins"
    folder.mkdir(exist_ok=True)
    here = Path(sysconfig.get_path("platlib"))
    for library in unpacked.rglob("*.so*"):
        package = library.relative_to(unpacked).parts[0]
        if unpacked / package == library:  # a module that belongs to no package
            for build in here.glob(package.partition(".")[0] + ".*.so"):
                shutil.copyfile(build, folder / build.name)
        elif not (folder / package).exists():
            shutil.copytree(here / package, folder / package)
    return folder
