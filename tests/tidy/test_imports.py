"""Who may import whom (DESIGN, Layout): the walls of the house."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.house import House, Module, guarded, imports, matches, repository, seeded

OURS = ("protocols", "firmware", "reader_host", "cloud", "scripts", "tests")

# Folder: what of ours its modules may import.  The longest folder that fits decides.
MAY_IMPORT = {
    "protocols": ("protocols",),
    "firmware/app": ("protocols", "firmware.hal", "firmware.app"),
    "firmware/hal": ("protocols", "firmware.hal"),
    # Besides the cards, a driver names its faults by the list that all sides share.
    "firmware/drivers": ("protocols.card", "protocols.errors", "firmware.hal", "firmware.drivers"),
    "firmware/ports": ("protocols", "firmware.hal", "firmware.drivers", "firmware.ports"),
    "firmware": ("protocols", "firmware"),
    "reader_host": ("protocols", "reader_host"),
    # A local page guards itself and writes names as the cloud's pages do, by two modules that know no cloud.
    "reader_host/local": ("protocols", "reader_host", "cloud.guards", "cloud.formats"),
    # The virtual board is the firmware itself, built from the same list of files as a chip's image.
    "reader_host/virtual": (
        "protocols",
        "reader_host",
        "firmware.app",
        "firmware.ports",
        "firmware.manifest",
    ),
    "reader_host/till": ("protocols", "reader_host", "firmware.app", "firmware.ports"),
    "cloud": ("protocols", "cloud"),
    "scripts": ("protocols", "firmware", "reader_host", "cloud", "scripts"),
    "tests": OURS,
}
CHIP = ("machine", "network", "esp", "esp32", "rp2")
CHIP_FOLDERS = ("firmware/ports", "firmware/boards")
MQTT_OF_CHIP = ("chumicro_mqtt", "chumicro_sockets", "chumicro_config", "chumicro_timing")
# A board chooses its driver and the socket that the driver speaks through.
MQTT_OF_CHIP_FOLDERS = ("firmware/drivers", "firmware/ports", "firmware/boards", "scripts", "tests")

FLASK = (
    "flask",
    "flask_wtf",
    "flask_babel",
    "flask_limiter",
    "wtforms",
    "werkzeug",
    "waitress",
    "itsdangerous",
)
FLASK_FILES = ("routes.py", "app.py", "cli.py")
SQL = ("sqlalchemy", "alembic", "sqlite3", "psycopg", "sqlite_utils")
SQL_FILES = ("store.py", "db.py", "columns.py", "triggers.py", "bulk.py")
# A service names the types that it is handed; a boundary may catch what a broken store raises.
SQL_HANDED_THROUGH = (
    "sqlalchemy.Connection",
    "sqlalchemy.Engine",
    "sqlalchemy.Row",
    "sqlalchemy.exc.DBAPIError",
)
SQL_CALLS = ("execute", "executemany", "exec_driver_sql", "scalar", "scalars")
MQTT = ("paho", "iotcore")
MQTT_FOLDERS = ("cloud/ingest", "cloud/devices")
# Folders of cloud that are no features: everything there is shared or shows nothing to other features.
NO_FEATURES = ("migrations", "translations", "static", "templates")


def allowed_for(module: Module) -> tuple[str, ...] | None:
    """What of ours the module may import; None when it lies outside the layout."""
    folder = module.folder
    while folder:
        if folder in MAY_IMPORT:
            return MAY_IMPORT[folder]
        folder = folder.rpartition("/")[0]
    return None


def wrong_walls(house: House) -> list[str]:
    """Imports through a wall between the rooms."""
    wrong = []
    for module in house.modules:
        allowed = allowed_for(module)
        for node, name in imports(module):
            if matches(name, *OURS) and allowed is not None and not matches(name, *allowed):
                wrong.append(module.wrong(node, f"{module.folder} must not import {name}"))
            if matches(name, *CHIP) and not module.within(*CHIP_FOLDERS):
                wrong.append(module.wrong(node, f"only {', '.join(CHIP_FOLDERS)} may import {name}"))
            if matches(name, *MQTT_OF_CHIP) and not module.within(*MQTT_OF_CHIP_FOLDERS):
                wrong.append(module.wrong(node, f"{name} stands behind hal/link"))
    return wrong


def wrong_knowledge(house: House) -> list[str]:
    """In cloud: who knows Flask and MQTT."""
    wrong = []
    for module in house.modules_in("cloud"):
        for node, name in imports(module):
            if matches(name, *FLASK) and module.file_name not in FLASK_FILES:
                wrong.append(module.wrong(node, f"only {', '.join(FLASK_FILES)} know Flask: {name}"))
            if matches(name, *MQTT) and not module.within(*MQTT_FOLDERS):
                wrong.append(module.wrong(node, f"only ingest and devices know MQTT: {name}"))
    return wrong


def tables_of(house: House) -> set[str]:
    """The names of the tables in cloud/db.py."""
    return {
        target.id
        for module in house.modules_in("cloud")
        if module.path == "cloud/db.py"
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "Table"
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def wrong_sql(house: House) -> list[str]:
    """In cloud: statements and tables outside of stores."""
    tables = tuple(f"cloud.db.{name}" for name in tables_of(house))
    wrong = []
    for module in house.modules_in("cloud"):
        if module.file_name in SQL_FILES or module.within("cloud/migrations"):
            continue
        only_types = guarded(module, "types")
        for node, name in imports(module):
            if matches(name, *SQL) and node not in only_types and name not in SQL_HANDED_THROUGH:
                wrong.append(module.wrong(node, f"only stores, db.py and migrations know SQL: {name}"))
            if matches(name, *tables, "cloud.bulk"):
                wrong.append(module.wrong(node, f"only stores touch tables: {name}"))
        for part in module.nodes:
            attribute = part.func if isinstance(part, ast.Call) else part
            if not isinstance(attribute, ast.Attribute):
                continue
            if attribute is not part and attribute.attr in SQL_CALLS:
                wrong.append(module.wrong(part, f"only stores make statements: {ast.unparse(attribute)}"))
            if attribute is part and f"cloud.{ast.unparse(part)}" in tables:
                wrong.append(module.wrong(part, f"only stores touch tables: {ast.unparse(part)}"))
    return wrong


def feature_of(name: str, features: set[str]) -> str | None:
    """The feature a dotted name of cloud belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "cloud" and parts[1] in features else None


def wrong_features(house: House) -> list[str]:
    """In cloud: a feature reaches into another one only through its service."""
    modules = house.modules_in("cloud")
    features = {module.path.split("/")[1] for module in modules if module.path.count("/") > 1} - set(
        NO_FEATURES
    )
    wrong = []
    for module in modules:
        own = feature_of(module.name, features)
        for node, name in imports(module):
            other = feature_of(name, features)
            if own is None or other is None or other == own:
                continue
            if not matches(name, f"cloud.{other}.service"):
                wrong.append(module.wrong(node, f"{own} must use cloud.{other}.service, not {name}"))
    return wrong


RULES = [wrong_walls, wrong_knowledge, wrong_sql, wrong_features]


@pytest.mark.parametrize("rule", RULES)
def test_house_keeps_its_walls(rule):
    wrong = rule(repository())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (wrong_walls, "protocols/money.py", "from cloud.keys import Vault"),
        (wrong_walls, "protocols/money.py", "def late():\n    import firmware.hal"),
        (wrong_walls, "firmware/app/canteen.py", "from firmware.drivers import mqtt"),
        (wrong_walls, "firmware/app/canteen.py", "import machine"),
        (wrong_walls, "firmware/app/canteen.py", "from chumicro_mqtt import MQTTError"),
        (wrong_walls, "firmware/drivers/pn532.py", "from protocols.ledger import journal"),
        (wrong_walls, "firmware/hal/link.py", "from firmware.app import sync"),
        (wrong_walls, "firmware/ports/host.py", "from reader_host import virtual"),
        (wrong_walls, "reader_host/desk/page.py", "from firmware.app import canteen"),
        (wrong_walls, "reader_host/desk/page.py", "import cloud.db"),
        (wrong_walls, "reader_host/local/door.py", "from cloud import sessions"),
        (wrong_walls, "cloud/ingest/service.py", "from firmware.app import canteen"),
        (wrong_walls, "cloud/ingest/service.py", "import scripts.play"),
        (wrong_walls, "scripts/play/hand.py", "from tests.protocols import nor"),
        (wrong_knowledge, "cloud/people/service.py", "from flask import g"),
        (wrong_sql, "cloud/people/routes.py", "from sqlalchemy import select"),
        (wrong_sql, "cloud/people/service.py", "import sqlite3"),
        (wrong_sql, "cloud/people/service.py", "from sqlalchemy.exc import IntegrityError"),
        (wrong_sql, "cloud/people/service.py", "from cloud.bulk import run_many"),
        (wrong_sql, "cloud/people/service.py", "from cloud.db import begin, person"),
        (wrong_sql, "cloud/people/service.py", "from cloud import db\ndb.person.select()"),
        (wrong_sql, "cloud/people/service.py", "conn.exec_driver_sql('SELECT 1')"),
        (wrong_knowledge, "cloud/parents/routes.py", "import paho.mqtt.client"),
    ],
)
def test_import_through_a_wall_is_seen(tmp_path, rule, path, text):
    seeded(tmp_path, "cloud/db.py", "from sqlalchemy import Table\nperson = Table('person')\n")
    assert len(rule(seeded(tmp_path, path, text + "\n"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from cloud.accounting import store",
        "from cloud.accounting.store import insert_entry",
        "from ..accounting import store",
        "import cloud.accounting.rules",
        "from cloud.accounting import Entry",
    ],
)
def test_reaching_into_another_feature_is_seen(tmp_path, text):
    seeded(tmp_path, "cloud/accounting/service.py", "")
    assert len(wrong_features(seeded(tmp_path, "cloud/ingest/service.py", text + "\n"))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("cloud/ingest/service.py", "from cloud.accounting import service"),
        ("cloud/ingest/service.py", "from cloud.accounting.service import post"),
        ("cloud/ingest/service.py", "import paho.mqtt.client"),
        ("cloud/ingest/service.py", "from cloud.db import begin"),
        ("cloud/ingest/service.py", "from sqlalchemy import Connection"),
        ("cloud/ingest/service.py", "if TYPE_CHECKING:\n    from sqlalchemy import Row"),
        ("cloud/ingest/store.py", "from sqlalchemy import insert"),
        ("cloud/migrations/env.py", "from alembic import context"),
        ("cloud/ingest/routes.py", "from flask import Blueprint"),
        ("cloud/worker.py", "from cloud.notifications import file_channel"),
        ("firmware/boards/gate.py", "from firmware.app import turnstile"),
        ("firmware/ports/esp32.py", "import machine"),
        ("reader_host/virtual/board.py", "from firmware.app import canteen"),
        ("tests/system/test_day.py", "from cloud.accounting import store"),
    ],
)
def test_right_imports_are_left_alone(tmp_path, path, text):
    seeded(tmp_path, "cloud/accounting/service.py", "")
    seeded(tmp_path, "cloud/notifications/service.py", "")
    house = seeded(tmp_path, path, text + "\n")
    assert [line for rule in RULES for line in rule(house)] == []
