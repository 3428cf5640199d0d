"""Every published vector, computed from its input alone."""

import json

from protocols.card import aes, known_answers
from protocols.errors import CARD_KIND, CARD_NOT_GENUINE, FIELD_RANGE, Fault

VECTORS = "protocols/vectors/card-crypto.json"


def vectors():
    with open(VECTORS) as file:
        return json.load(file)["vectors"]


def refused(group, given, wanted):
    try:
        known_answers.compute(group, given, wanted)
    except Fault as fault:
        return fault.code
    return 0


def test_every_published_vector_passes():
    every = vectors()
    assert len(every) == 18
    for vector in every:
        wanted = list(vector["expected"])
        assert known_answers.compute(vector["group"], vector["input"], wanted) == vector["expected"], vector[
            "name"
        ]


def test_answers_follow_from_the_input():
    for vector in vectors():
        for field, value in vector["input"].items():
            if field == "const" or not value:
                continue
            changed = dict(vector["input"])
            changed[field] = "%02X" % (int(value[:2], 16) ^ 0x02) + value[2:]
            wanted = list(vector["expected"])
            try:
                made = known_answers.compute(vector["group"], changed, wanted)
            except Fault as fault:
                # A card's proof that does not fit any more.
                assert fault.code == CARD_NOT_GENUINE
                continue
            if vector["name"].startswith("AES-128 diversified") and field == "const||M":
                # The constant is the form's own.
                continue
            assert made != vector["expected"], (vector["name"], field)


def test_unknown_shape_is_a_fault():
    assert refused("AN10922", {"nothing": "00"}, ["mac"]) == CARD_KIND
    assert refused("RFC4493", {"key": "00" * 16, "msg": ""}, ["another"]) == CARD_KIND
    assert refused("RFC4493", {"key": "0", "msg": ""}, ["mac"]) == FIELD_RANGE
    assert refused("RFC4493", {"key": "00" * 15, "msg": ""}, ["mac"]) == FIELD_RANGE


def test_key_of_24_bytes_encrypts_by_the_standard():
    # FIPS 197 appendix C.2.
    key = bytes(range(24))
    plain = bytes(17 * number for number in range(16))
    assert aes.encrypt_block(key, plain) == bytes.fromhex("dda97ca4864cdfe06eaf70a0ec0d7191")
