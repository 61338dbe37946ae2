"""`make package`: everything that is deployed, in build/<env>/, without a word to AWS."""

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from local.deploy import artifact
from local.deploy.environments import for_template, parameters, require_providers
from local.deploy.functions import FUNCTIONS, LAYERS, layer_id
from local.deploy.refusals import NotPackaged
from local.deploy.template import app_template
from local.settings import ROOT


def package(env: str, changes: Sequence[str] = (), out: Path | None = None) -> Path:
    """Build zip, templates and parameters of an environment; the folder they are in.

    Raises:
        EnvironmentWrong: the environment does not make sense.
        NotPackaged: something is missing or does not work.
    """
    started = time.monotonic()
    given = parameters(env, changes)
    require_providers(given)
    folder = out or ROOT / "build" / env
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    template = app_template()
    _write(folder / "app.template.json", template)
    for name in ("data", "web"):
        shutil.copyfile(ROOT / "infra" / f"{name}.template.json", folder / f"{name}.template.json")
        for_template(json.loads((folder / f"{name}.template.json").read_text()), given)
    with tempfile.TemporaryDirectory() as scratch:
        handlers = [function.handler for function in FUNCTIONS]
        made = artifact.build(folder / "app.zip", given["Architecture"], handlers, Path(scratch))
        layers = {
            name: artifact.build_layer(folder / f"{name}-layer.zip", given["Architecture"], lock, Path(scratch) / name)
            for name, lock in LAYERS.items()
        }
    given["CodeKey"] = f"code/{made.sha256}.zip"
    given |= {f"{layer_id(name)}Key": f"code/{layer.sha256}.zip" for name, layer in layers.items()}
    for_template(template, given)
    _write(folder / "parameters.json", given)

    print(f"packaged {env} for {given['Architecture']} in {time.monotonic() - started:.1f} s: {_shown(folder)}")
    print(f"  {made.zipped:,} bytes zipped, {made.unzipped:,} unzipped, {made.files:,} files, {len(handlers)} handlers")
    print(f"  sha256 {made.sha256}")
    for name, layer in layers.items():
        print(f"  layer {name}: {layer.zipped:,} bytes zipped, {layer.unzipped:,} unzipped, sha256 {layer.sha256}")
        if layer.unzipped + made.unzipped > artifact.UNZIPPED_MAX:
            raise NotPackaged(f"Zip and layer {name} together are more than Lambda takes.")
    return folder


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _shown(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)
