"""The whole till over its wire: a real board, a serial device, a cable that is pulled out."""

import json
import os
from operator import methodcaller

import pytest
from click import UsageError
from click.testing import CliRunner

from reader_host.till import line, wire_key
from reader_host.till.menu import FILE
from reader_host.till.program import at_wire, till
from reader_host.virtual.cable import Cable
from tests.reader_host.till.parts import BUN, LUNCH, LUNCH_PRICE, MENU, Canteen, canteen, menu_folder


def charge(place: Canteen, *goods: int) -> None:
    """Ring up, and wait until the next card pays."""
    for good in goods:
        place.till.do(methodcaller("press", good))
    assert place.till.do(lambda serving: serving.charge(serving.revision))
    place.wait(lambda serving: serving.waits_for_card and not serving._sent, "the line")


def test_sale_cut_and_undo_over_a_wire(tmp_path, embedded_broker):
    with Cable() as cable, canteen(tmp_path, embedded_broker.port, cable=cable) as place:
        charge(place, LUNCH)
        place.hold("subsidised")
        place.wait(lambda serving: serving.result and serving.result.kind == line.SERVED, "the plate")
        charge(place, LUNCH, BUN)
        cable.is_out = True
        place.hold("paid")
        place.wait(lambda serving: not serving._is_up, "the cable to be missed")
        cable.is_out = False
        place.wait(lambda serving: serving.result and serving.result.kind == line.SERVED, "what became of it")
        assert [sale.amount for sale in place.sales()] == [LUNCH_PRICE, LUNCH_PRICE + 2750]
        # It pays for nobody else.
        place.hold("other")
        place.wait(lambda serving: serving.result and serving.result.kind == line.NOTHING, "the next child")
        assert len(place.sales()) == 2
        last = place.till.look().serving.last
        assert last is not None
        place.till.do(lambda serving: serving.ask_reason(last.seq, place.till.now()))
        place.till.do(lambda serving: serving.undo(last.seq, "dish"))
        place.wait(lambda serving: serving.last.is_taken_back, "the sale to be taken back")


def test_key_and_wire_are_kept_for_the_next_start(tmp_path):
    folder = menu_folder(tmp_path / "till")
    with pytest.raises(UsageError):
        at_wire(folder, None, None)
    with pytest.raises(UsageError):
        at_wire(folder, "/dev/ttyACM0", None)
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"pairing_key": "11" * 32}))
    at_wire(folder, "/dev/ttyACM0", file)
    file.unlink()
    assert os.stat(folder / wire_key.FILE).st_mode & 0o777 == 0o600
    made = at_wire(folder, None, None)(lambda event: None)
    assert (made._path, made._key) == ("/dev/ttyACM0", bytes([0x11]) * 32)
    assert "11" * 8 not in repr(made)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pairing_key": "1122"}', '{"pairing_key": 5}', "\\x"])
def test_file_that_is_no_key_changes_nothing(tmp_path, text):
    folder = menu_folder(tmp_path / "till")
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"pairing_key": "22" * 32}))
    bad.write_text(text)
    wire_key.take_in(folder, good)
    with pytest.raises(wire_key.BadWireKey):
        wire_key.take_in(folder, bad)
    assert wire_key.kept(folder) == bytes([0x22]) * 32
    said = CliRunner().invoke(till, ["--folder", str(folder), "--wire", "/dev/null", "--key", str(bad)])
    assert said.exit_code == 1
    assert "is no key file of a till" in said.output
    assert json.loads((folder / FILE).read_text()) == MENU
