"""Makes backups and brings them back.

Promises: the database is copied before the archive, so that the archive has
everything the copy knows; every file stands in the manifest with its hash, and
nothing is put back before all of them are right; a restore never takes bytes
away from the archive or a key, and ends in recovery mode under an incarnation
above every number seen, with the archive read again.  Where no witness of before
says that the archive is whole, payouts are held.
"""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from cloud import migrations
from cloud.config import Config, write_private
from cloud.db import engine, reading
from cloud.devices import service as devices
from cloud.ingest.service import Archive, Ingest, Standing, archive_lengths, standings
from cloud.keys import Vault
from cloud.restore import store
from protocols.ids import hex8, parse_hex8

MANIFEST = "manifest.json"
_VERSION = 1


class RestoreRefused(Exception):
    """Nothing was changed; says why."""


def back_up(config: Config, folder: Path, keys_folder: Path, now: int) -> dict[str, Any]:
    """Copy database and archive to `folder`, the keys to `keys_folder`; returns the manifest."""
    for each in (folder, keys_folder):
        if each.exists() and any(each.iterdir()):
            raise RestoreRefused(f"{each} is not empty")
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = store.name_of(config.database_url)
    made = engine(config.database_url)
    with reading(made) as conn:
        schema = migrations.revision(conn)
    standing = standings(made)
    made.dispose()
    store.copy_out(config.database_url, folder / name)
    archive = folder / "archive"
    archive.mkdir(mode=0o700)
    for path in sorted(config.archive_dir.iterdir()):
        if path.suffix in (".kka", ".head"):
            shutil.copyfile(path, archive / path.name)
    for path in sorted(config.keys_dir.iterdir()):
        shutil.copyfile(path, keys_folder / path.name)
        os.chmod(keys_folder / path.name, 0o600)
    manifest = {
        "version": _VERSION,
        "made_at": now,
        "database": name,
        "schema": schema,
        "schools": {hex8(school_id): value._asdict() for school_id, value in sorted(standing.items())},
        "files": {**_hashes(folder, folder), **_hashes(keys_folder, keys_folder, "keys/")},
    }
    write_private(folder / MANIFEST, [json.dumps(manifest, indent=1, sort_keys=True), "\n"])
    return manifest


def restore(config: Config, folder: Path, keys_folder: Path, *, force: bool, now: int) -> dict[str, int]:
    """Put a backup back and begin a new incarnation; returns the incarnation of each school.

    RestoreRefused when a file is not what the manifest says, when ingest runs,
    or when the present database is newer and `force` was not given.
    """
    manifest = _checked(folder, keys_folder)
    if manifest["database"] != store.name_of(config.database_url):
        raise RestoreRefused(f"the backup is {manifest['database']}, cloud.toml names another database")
    _check_stopped(config)
    present = _present(config)
    kept = {parse_hex8(school): Standing(**value) for school, value in manifest["schools"].items()}
    newer = [school_id for school_id, value in present.items() if _is_newer(value, kept.get(school_id))]
    if newer and not force:
        raise RestoreRefused(f"the present database is newer for {', '.join(map(hex8, newer))}: --force")
    _put_keys(keys_folder, config.keys_dir)
    seen = archive_lengths(Vault(config.keys_dir), config.archive_dir)
    _put_archive(folder / "archive", config.archive_dir)
    store.copy_in(config.database_url, folder / manifest["database"])
    made = engine(config.database_url)
    try:
        migrations.upgrade(made)
        return _recover(config, made, present, manifest["made_at"], seen, now)
    finally:
        made.dispose()


def _recover(
    config: Config,
    made: Engine,
    present: dict[int, Standing],
    made_at: int,
    seen: dict[int, int],
    now: int,
) -> dict[str, int]:
    """`seen`: how long the archive was by the witnesses that stood here before: none on a new machine."""
    vault, archive = Vault(config.keys_dir), Archive(config.archive_dir)
    ingest = Ingest(made, vault, archive, clock=lambda: now)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(made_at))
    for school_id in sorted(standings(made)):
        above = present[school_id].incarnation if school_id in present else 0
        is_whole = school_id in seen and archive.length() >= seen[school_id]
        reason = f"restored from the backup of {when}"
        ingest.recover(school_id, reason, above, is_archive_whole=is_whole)
    archive.close()
    return {hex8(school_id): value.incarnation for school_id, value in standings(made).items()}


def _present(config: Config) -> dict[int, Standing]:
    """The same of the database that is there now; nothing where there is none that answers."""
    made = engine(config.database_url)
    try:
        with reading(made) as conn:
            if not migrations.revision(conn):
                return {}
        return standings(made)
    except Exception as error:
        if made.dialect.name == "postgresql":
            raise RestoreRefused(f"the database does not answer: {type(error).__name__}") from error
        return {}
    finally:
        made.dispose()


def _is_newer(present: Standing, kept: Standing | None) -> bool:
    return kept is None or any(one > other for one, other in zip(present, kept, strict=True))


def _check_stopped(config: Config) -> None:
    path = config.run_dir / "ingest.pid"
    try:
        number = int(path.read_text(encoding="ascii"))
        os.kill(number, 0)
    except (OSError, ValueError):
        return
    raise RestoreRefused(f"ingest runs as process {number}: stop it first")


def _hashes(base: Path, folder: Path, prefix: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            name = prefix + path.relative_to(base).as_posix()
            found[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return found


def _checked(folder: Path, keys_folder: Path) -> dict[str, Any]:
    """The manifest, after every file of it was compared."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RestoreRefused(f"{folder / MANIFEST} cannot be read: this is no backup") from error
    if manifest.get("version") != _VERSION:
        raise RestoreRefused(f"a backup of version {manifest.get('version')}")
    for name, said in manifest["files"].items():
        path = keys_folder / name[5:] if name.startswith("keys/") else folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != said["sha256"]:
            raise RestoreRefused(f"{path} is missing or not what the manifest says")
    return manifest


def _put_archive(source: Path, target: Path) -> None:
    """Files only grow: of two the longer one stays.  Witnesses of now are never replaced by old ones."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(source.iterdir()):
        there = target / path.name
        is_longer = there.exists() and there.stat().st_size >= path.stat().st_size
        if not (is_longer or (there.exists() and path.suffix == ".head")):
            shutil.copyfile(path, there)
            os.chmod(there, 0o600)


def _put_keys(source: Path, target: Path) -> None:
    """Keys that are missing come back; one that is there stays; of two registries the longer one."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(source.iterdir()):
        there = target / path.name
        is_short = path.name == devices.REGISTRY_FILE and there.exists()
        if not there.exists() or (is_short and there.stat().st_size < path.stat().st_size):
            shutil.copyfile(path, there)
            os.chmod(there, 0o600)
        elif not is_short and there.read_bytes() != path.read_bytes():
            raise RestoreRefused(f"{there} is another key than that of the backup")
