"""The books of a played day, judged by the product and by a program that knows nothing of it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.plays import ROOT, SCHOOL_1, Command

pytestmark = pytest.mark.system
BEAN_CHECK = Path(sys.executable).with_name("bean-check")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the example school after its day."""
    played = Command(tmp_path_factory.mktemp("books"), "--once", "--school", str(SCHOOL_1), "--json")
    assert played.wait() == 0, played.complaints()
    return played.data


def books(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`klasskart books ...` on a data folder of a play."""
    (config,) = data.rglob("cloud.toml")
    script = ROOT / "scripts" / "klasskart.py"
    command = [sys.executable, str(script), "books", *arguments, "--config", str(config)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def bean_check(path: Path) -> int:
    return subprocess.run([BEAN_CHECK, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def test_played_day_is_whole(data: Path, tmp_path: Path) -> None:
    checked = books(data, "check")
    assert checked.returncode == 0, checked.stdout
    path = tmp_path / "books.beancount"
    assert books(data, "export", "--beancount", str(path)).returncode == 0
    assert bean_check(path) == 0


def test_every_sale_leads_to_its_device(data: Path) -> None:
    with sqlite3.connect(next(data.rglob("cloud.db"))) as store:
        sales = [row[0] for row in store.execute("SELECT entry_id FROM entry WHERE kind = 'sale'")]
    store.close()
    assert sales
    told = books(data, "explain", str(sales[-1]))
    assert told.returncode == 0, told.stdout
    assert "MAC ok" in told.stdout


def test_wrong_posting_of_the_day_is_caught(data: Path, tmp_path: Path) -> None:
    """Last: it spoils the books."""
    with sqlite3.connect(next(data.rglob("cloud.db"))) as store:
        store.execute("DROP TRIGGER posting_no_update")
        store.execute("UPDATE posting SET amount_minor = amount_minor + 1 WHERE line = 2 AND entry_id = 3")
    store.close()
    assert "entry 3: chain" in books(data, "check").stdout
    path = tmp_path / "books.beancount"
    books(data, "export", "--beancount", str(path))
    assert bean_check(path) != 0
