"""Trimming for a chip: the same behaviour with fewer names."""

import ast

import pytest

from firmware import manifest
from reader_host.virtual import build as builder
from reader_host.virtual.trim import trim


def small(kept=(), users=None, **modules: str) -> dict[str, str]:
    sources = {name.replace("__", "."): text for name, text in modules.items()}
    return trim(sources, users=users or {}, kept=kept)


def test_a_number_takes_the_place_of_its_name_across_modules():
    made = small(
        book__sizes="ROW = 4\n_TWO = 2\nPAIR = ROW * _TWO\nLAST = -1\n",
        main="from book import sizes\nfrom book.sizes import PAIR as BOTH\n"
        "x = [sizes.ROW, BOTH, sizes.LAST]\nx.sort()\n",
    )
    assert made["main"] == "x = [4, 8, -1]\nx.sort()"
    assert made["book.sizes"] == ""


def test_what_is_no_whole_number_or_is_given_twice_keeps_its_name():
    text = "RATE = 1 / 2\nNAME = 'n'\nON = True\nCOUNT = 1\nCOUNT = COUNT + 1\n"
    text += "x = (RATE, NAME, ON, COUNT)\nprint(x)\n"
    found = {}
    exec(small(main=text)["main"], found)
    assert found["x"] == (0.5, "n", True, 2)
    assert found["COUNT"] == 2
    assert found["ON"] is True


def test_a_module_name_that_is_a_parameter_elsewhere_is_left_alone():
    made = small(
        book__record="SALE = 6\n",
        main="from book import record\ndef kind(record):\n    return record.SALE\nprint(kind(record))\n",
    )
    assert "record.SALE" in made["main"]
    assert made["book.record"] == "SALE = 6"


def test_what_nobody_calls_goes_with_all_that_it_alone_called():
    text = (
        "from collections import namedtuple\nUsed = namedtuple('Used', 'a')\nIDLE = namedtuple('Idle', 'b')\n"
        "def helper():\n    return again()\ndef again():\n    return helper()\n"
        "class Thing:\n    def work(self):\n        return Used(1)\n    def rest(self):\n        return 2\n"
        "def lonely():\n    return lonely()\n"
        "print(Thing().work())\n"
    )
    made = small(main=text)["main"]
    assert not [word for word in ("def rest", "lonely", "IDLE") if word in made]
    assert "def work" in made
    assert "helper" in made, "two that call each other are kept: a name is all that is looked at"


def test_names_in_strings_in_users_and_of_the_interpreter_are_kept():
    names = ("ioctl", "peek", "rest", "gone")
    methods = "".join(f"    def {name}(self): return 1\n" for name in names)
    text = "class Disk:\n" + methods + "print(getattr(Disk(), 'peek')())\n"
    made = small(kept=["ioctl"], users={"bench": "disk.rest()"}, main=text)["main"]
    assert [f"def {name}" in made for name in names] == [True, True, True, False]


def test_a_call_that_may_do_something_stays():
    made = small(main="LOCK = acquire()\ndef acquire():\n    return 1\n")
    assert made["main"].startswith("LOCK = acquire()")


def test_an_empty_body_passes():
    text = "class Empty:\n    def unused(self): pass\nif True:\n    def gone(): pass\nprint(Empty)\n"
    made = small(main=text)
    ast.parse(made["main"])
    assert "pass" in made["main"]


def test_the_firmware_loses_the_other_side_of_the_wire_and_keeps_its_own():
    texts = {builder._module(name): path.read_text() for name, path in builder._sources()}
    made = trim(texts, users={}, kept=manifest.CALLED_BY_INTERPRETER)
    messages = made["protocols.wire.messages"]
    for verb, thing, is_kept in [
        ("pack", "hello", True),
        ("unpack", "ack", True),
        ("unpack", "hello", False),
        ("pack", "ack", False),
    ]:
        assert (f"def {verb}_{thing}" in messages) == is_kept, (verb, thing)
    assert "raise Fault(75," in made["protocols.ledger.journal"]
    assert "SEQ_FUTURE = " not in made["protocols.errors"]
    user = trim(texts, users={"bench": "messages.pack_settings(1)"}, kept=manifest.CALLED_BY_INTERPRETER)
    assert "def pack_settings" in user["protocols.wire.messages"]
    assert "def pack_settings" not in messages


def test_a_source_that_is_none_is_named():
    with pytest.raises(SyntaxError, match="invalid syntax") as caught:
        small(wrong="def broken(:\n")
    assert caught.value.filename == "wrong"
