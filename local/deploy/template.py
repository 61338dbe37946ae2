"""The app's template: what Chalice makes of the routes, with the overlay on it."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from chalicelib.api.headers import security
from local.deploy.intrinsics import Json, sub
from local.deploy.merging import merged, renamed
from local.deploy.overlay import ORIGIN, overlay, said
from local.deploy.refusals import NotPackaged
from local.settings import ROOT, environment

API = "ApiFunction"


def app_template() -> Json:
    """The template of the app stack, before SAM expands it.

    Raises:
        NotPackaged: Chalice refuses the app.
    """
    plain = renamed(_with_parameter(chalice_template()), "APIHandler", API)
    made: Json = merged(plain, overlay())
    for methods in made["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].values():
        _secure_preflight(methods.get("options"))
    order = ("AWSTemplateFormatVersion", "Transform", "Description", "Parameters", "Rules", "Globals", "Conditions")
    return {name: made[name] for name in (*order, "Resources", "Outputs")}


def _secure_preflight(options: Json | None) -> None:
    """Give the gateway's answer to OPTIONS, which the app never sees, the headers of every other answer."""
    if options is None:
        return
    headers = security(laptop=False)
    options["responses"]["200"]["headers"] |= {name: {"type": "string"} for name in headers}
    answer = options["x-amazon-apigateway-integration"]["responses"]["default"]
    answer["responseParameters"] |= {f"method.response.header.{name}": said(each) for name, each in headers.items()}


def chalice_template() -> Json:
    """What `chalice package` makes of a copy of the app without requirements, so that nothing is downloaded.

    Raises:
        NotPackaged: Chalice refuses the app.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "regulars"
        (project / ".chalice").mkdir(parents=True)
        (project / "requirements.txt").touch()
        every_route = (ROOT / "app.py").read_text() + "app.open()\n"  # Chalice makes the API of those that it sees
        (project / "app.py").write_text(every_route)
        shutil.copy(ROOT / ".chalice" / "config.json", project / ".chalice")
        shutil.copytree(ROOT / "chalicelib", project / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
        out = Path(folder) / "out"
        done = subprocess.run(
            [sys.executable, "-c", "from chalice.cli import main; main()", "package", "--stage", "dev", str(out)],
            cwd=project, env=_nobody(folder), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not (out / "sam.json").exists():
            raise NotPackaged(f"chalice package failed:\n{done.stderr or done.stdout}")
        found: Json = json.loads((out / "sam.json").read_text())
        return found


def _nobody(home: str) -> dict[str, str]:
    """An environment without credentials or habits of the person who packages."""
    kept = {
        name: value for name, value in environment().items() if not name.startswith(("AWS_", "REGULARS_", "PYTHON"))
    }
    return kept | {
        "HOME": home,
        "AWS_DEFAULT_REGION": "us-east-1",  # Chalice asks for one and writes none of it down
        "AWS_EC2_METADATA_DISABLED": "true",
        "REGULARS_STAGE": "dev",
        "REGULARS_CORS_ORIGIN": ORIGIN,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def _with_parameter(value: Any) -> Any:
    """A template in which the stand-in for the web origin is the parameter."""
    if isinstance(value, str) and ORIGIN in value:
        return sub(re.sub(r"\$\{", "${!", value).replace(ORIGIN, "${CorsOrigin}"))
    if isinstance(value, dict):
        return {name: _with_parameter(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_parameter(part) for part in value]
    return value
