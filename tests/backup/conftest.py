"""A small shop with a year behind it, and a backup of it; each is made once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from local.backup import making, restoring
from local.backup.erased import Nobody
from local.backup.form import VAULT, Manifest
from local.demo import seeding
from local.dynamo import Dynoxide
from local.keys import ensure_keys, ensure_vault_key
from local.reconcile import open_house
from local.settings import Settings
from local.tables import create_tables

DAY, SIZE = date(2026, 11, 15), 12
PART_BYTES = 12_000
"""So small that there are many parts."""


@dataclass(frozen=True)
class Shop:
    """A data folder whose run is ended, and a backup of it."""

    chosen: Settings
    backup: Path
    manifest: Manifest

    def elsewhere(self, folder: Path) -> Settings:
        """A data folder that has the keys and nothing else."""
        folder.mkdir()
        for name in ("keys.json", "vault_key", "signing_key.pem"):
            shutil.copy(self.chosen.data_dir / name, folder / name)
        return replace(self.chosen, data_dir=folder)

    def copied(self, folder: Path) -> Path:
        """The backup, to tamper with."""
        shutil.copytree(self.backup, folder)
        return folder

    def restored(self, folder: Path) -> Settings:
        """The backup, restored."""
        chosen = self.elsewhere(folder)
        assert restoring.restored(chosen, self.backup, self.backup / VAULT, Nobody()) == []
        return chosen


def a_folder(path: Path) -> Settings:
    """A data folder with keys."""
    path.mkdir()
    made = Settings(port=1, data_dir=path, workers=1, seed=True, dynamodb_endpoint=None, dynamodb_engine="dynoxide")
    ensure_keys(made.keys_file)
    ensure_vault_key(made.vault_key_file)
    return made


@contextmanager
def served(chosen: Settings) -> Iterator[Settings]:
    """A data folder's database, answering."""
    with Dynoxide(chosen.data_dir / "dynamo.db") as database:
        create_tables(database.endpoint)
        yield replace(chosen, dynamodb_endpoint=database.endpoint)


@contextmanager
def house_of(chosen: Settings) -> Iterator[House]:
    """The app's surroundings over a data folder, in use."""
    with served(chosen) as here, open_house(here) as house:
        wiring.use(replace(house, gate=wiring.gate(house.settings, house.table)))
        yield wiring.house()
        wiring.use(None)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop and its backup. Tests do not change them."""
    root = tmp_path_factory.mktemp("shop")
    chosen = a_folder(root / "data")
    with served(chosen) as here:
        seeding.seed(SIZE, DAY, chosen=here)
    manifest = making.backed_up(chosen, root / "backup", root / "backup" / VAULT, part_bytes=PART_BYTES)
    return Shop(chosen, root / "backup", manifest)
