"""Short names for private attributes: only where nobody else can know them."""

import ast

from reader_host.virtual.shorten import shorten


def short(foreign=(), **modules: str) -> dict[str, str]:
    trees = {name.replace("__", "."): ast.parse(text) for name, text in modules.items()}
    shorten(trees, foreign)
    return {name: ast.unparse(tree) for name, tree in trees.items()}


TILL = """
class Till:
    def __init__(self, wire):
        self._wire = wire
        self._count = 0
    def step(self):
        self._count += 1
        return self._told(self._wire)
    def _told(self, wire):
        return wire
"""


def test_attributes_are_short_and_methods_keep_their_names():
    made = short(till=TILL, other=TILL)
    for text in made.values():
        assert "_wire" not in text
        assert "_count" not in text
        assert "self._told(self._1)" in text
        found = {}
        exec(text, found)
        made_till = found["Till"]("w")
        assert (made_till.step(), made_till._0) == ("w", 1)


def test_name_that_somebody_else_bears_stays():
    for more in (
        "def _wire():\n    return 1\n",
        "_wire = 1\n",
        "from book import _wire\n",
        "x = getattr(3, '_wire', 0)\n",
        "def call(_wire):\n    return _wire\n",
        "f(_wire=1)\n",
        "def look(till):\n    return till._wire\n",
    ):
        made = short(till=TILL, other=more)
        assert "self._wire" in made["till"], more
        assert "_count" not in made["till"]
    assert "self._wire" in short(foreign=["_wire"], till=TILL)["till"]


def test_other_objects_of_the_module_are_renamed_with_it_unless_there_are_two_homes():
    peek = TILL + "\ndef peek(till):\n    return till._wire\n"
    assert "till._1" in short(till=peek)["till"]
    made = short(till=peek, other=TILL)
    assert "till._wire" in made["till"]
    assert "self._wire" in made["other"]


def test_modules_that_inherit_share_their_names():
    made = short(
        base="class Base:\n    def __init__(self):\n        self._a = 1\n        self._b = 2\n",
        middle="from base import Base\nclass Middle(Base):\n    def go(self):\n        self._c = self._b\n",
        last="import middle\nclass Last(middle.Middle):\n    def at(self):\n        self._d = self._a\n",
        apart="class Apart:\n    def __init__(self):\n        self._z = 1\n",
    )
    assert "self._2 = self._1" in made["middle"]
    assert "self._3 = self._0" in made["last"]
    assert "self._0 = 1" in made["apart"]


def test_same_name_in_a_class_that_inherits_is_the_same_attribute():
    made = short(
        base="class Base:\n    def __init__(self):\n        self._a = 1\n",
        more="from base import Base\nclass More(Base):\n    def put(self):\n        self._a = self._b = 2\n",
    )
    assert "self._0 = self._1 = 2" in made["more"]
    assert "self._0 = 1" in made["base"]
