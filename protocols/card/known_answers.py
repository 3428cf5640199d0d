"""Computes published test vectors of card cryptography from their inputs alone.

Shapes and field names are those of a vector file: `group`, `name`, `input` and
`expected`, all values in upper-case hex.  Promises: nothing is read of
`expected` but the names of the fields that are wanted; a shape that is not
known, or a card's proof that is wrong, is a Fault.  Runs on both interpreters.
"""

from binascii import hexlify, unhexlify

from protocols.card import aes, cmac, des, handshake, keys, messaging, native, ntag424
from protocols.errors import CARD_KIND, CARD_NOT_GENUINE, FIELD_RANGE, Fault


def _bytes(text: str) -> bytes:
    try:
        return unhexlify(text)
    except ValueError:
        raise Fault(FIELD_RANGE, "vector", "no hex")  # noqa: B904


def _cmac(given: dict) -> dict:
    return {"mac": cmac.cmac(given["key"], given["msg"])}


def _subkeys(given: dict) -> dict:
    first, second = cmac.subkeys(given["key"])
    return {"K1": first, "K2": second}


def _diversified(given: dict) -> dict:
    master, material = given["master"], given["M"]
    constants = [int(part, 16) for part in given["const"].split(",")]
    return {
        "A": keys.padded_cmac(master, constants[0], material),
        "key": keys.diversify(master, material),
    }


def _diversified_an10957(given: dict) -> dict:
    return {"key": keys.diversify_an10957(given["master"], given["const||M"][1:])}


def _sdm_keys(given: dict) -> dict:
    return {
        "KSesSDMFileReadENC": cmac.cmac(given["K_SDMFileRead"], given["SV1"]),
        "KSesSDMFileReadMAC": cmac.cmac(given["K_SDMFileRead"], given["SV2"]),
    }


def _sun(given: dict) -> dict:
    plain, uid, counter = ntag424.picc_data(given["K_SDMMetaRead"], given["picc_data"])
    key, mac = ntag424.sun_mac(given["K_SDMFileRead"], uid, counter)
    return {
        "PICCData": plain,
        "SV2": ntag424.session_vector(uid, counter),
        "KSesSDMFileReadMAC": key,
        "cmac": mac,
    }


def _ev2(given: dict) -> dict:
    sent = []
    replies = [b"\xaf" + given["E(RndB)"], b"\x00" + given["card_response2"]]

    def exchange(command):
        sent.append(command)
        return replies[len(sent) - 1]

    talk = handshake.ev2_first(given["key"], 0, given["RndA"])
    session = native.run(talk, exchange)
    encryption, mac = handshake.ev2_session_keys(
        given["key"], given["RndA"], aes.decrypt(given["key"], aes.ZEROS, given["E(RndB)"])
    )
    return {
        "cmd2_data": sent[1][1:],
        "TI": session.transaction,
        "SesAuthENCKey": encryption,
        "SesAuthMACKey": mac,
    }


def _ev2_mac(given: dict) -> dict:
    return {"MACt": cmac.truncated(cmac.cmac(given["SesAuthMACKey"], given["msg"]))}


def _ev1(given: dict) -> dict:
    key, ours = given["key"], given["RndA"]
    theirs = aes.decrypt(key, aes.ZEROS, given["E(RndB)"])
    proof = aes.encrypt(key, given["E(RndB)"], ours + handshake.turned(theirs))
    told = given.get("E(RndA')")
    if told is not None and aes.decrypt(key, proof[-aes.BLOCK :], told) != handshake.turned(ours):
        raise Fault(CARD_NOT_GENUINE, "vector")
    return {
        "RndB": theirs,
        "E(RndA||RndB')": proof,
        "session_key": handshake.ev1_session_key(ours, theirs),
    }


def _ev1_change_key(given: dict) -> dict:
    number, version, new = given["keyno"], given["version"], given["new_key"]
    body = new + version
    plain = body + messaging.jam_crc(bytes((native.CHANGE_KEY,)) + number + body)
    plain += bytes(-len(plain) % aes.BLOCK)
    return {"cryptogram": plain, "enc": aes.encrypt(given["session_key"], given["IV"], plain)}


def _ev1_cmac(given: dict) -> dict:
    return {"cmac": cmac.cmac(given["session_key"], given["msg"], given["IV"])}


def _crc(given: dict) -> dict:
    return {"crc_le": messaging.jam_crc(given["data"])}


def _ultralight_c(given: dict) -> dict:
    theirs = des.decrypt(given["key"], bytes(des.BLOCK), given["E(RndB)"])
    proof = des.encrypt(given["key"], given["E(RndB)"], given["RndA"] + handshake.turned(theirs))
    return {"RndB": theirs, "E(RndA||RndB')": proof}


# What a set of input fields asks for; the group tells shapes apart that look the same.
_SHAPES = (
    ("", ("key", "msg"), _cmac),
    ("", ("key",), _subkeys),
    ("AN10922", ("master", "M", "const"), _diversified),
    ("", ("master", "const||M"), _diversified_an10957),
    ("", ("K_SDMFileRead", "SV1", "SV2"), _sdm_keys),
    ("", ("K_SDMMetaRead", "K_SDMFileRead", "picc_data"), _sun),
    ("", ("key", "RndA", "E(RndB)", "card_response2"), _ev2),
    ("", ("SesAuthMACKey", "msg"), _ev2_mac),
    ("MF0ICU2", ("key", "E(RndB)", "RndA"), _ultralight_c),
    ("", ("key", "RndA", "E(RndB)", "E(RndA')"), _ev1),
    ("", ("key", "E(RndB)", "RndA"), _ev1),
    ("", ("session_key", "new_key", "version", "keyno", "IV"), _ev1_change_key),
    ("", ("session_key", "IV", "msg"), _ev1_cmac),
    ("", ("data",), _crc),
)


def compute(group: str, given: dict, wanted) -> dict:
    """The wanted fields of one vector, in upper-case hex; `given`: its input, `wanted`: names of fields."""
    for name, fields, work in _SHAPES:
        if name in ("", group) and set(fields) == set(given):
            values = {key: text if key == "const" else _bytes(text) for key, text in given.items()}
            made = work(values)
            for key in wanted:
                if key not in made:
                    raise Fault(CARD_KIND, "vector", key)
            return {key: hexlify(made[key]).decode().upper() for key in wanted}
    raise Fault(CARD_KIND, "vector", group)
