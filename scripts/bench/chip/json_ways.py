"""The usual ways to keep cards on a controller, as rivals: one JSON file for each card, or one for all.

Both log a line of JSON for each tap, closed each time: on littlefs only a closed file survives a power cut.
Neither does what the product does beside it (keyed references, repeated taps, a chain of records, a light).
"""

import json

_PRICE = 8500


def card_path(folder: str, credential: str) -> str:
    """A card's own file, e.g. `/flash/cards/04C716D07C564B.json`: a colon is for no file name."""
    return "%s/cards/%s.json" % (folder, credential.split(":")[1])


class FilePerCard:
    """The card's file is opened and parsed at each tap; `log.jsonl` grows by a line."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def tap(self, credential: str, utc: int) -> bool:
        """Whether the card may go on; durable when this returned."""
        try:
            with open(card_path(self._folder, credential)) as file:
                card = json.load(file)
        except OSError:
            card = None
        return _decide(self._folder, credential, utc, card)


class OneFile:
    """`cards.json` is read once into a dict of all cards; `log.jsonl` grows by a line at each tap."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with open(folder + "/cards.json") as file:
            self._cards = json.load(file)

    def tap(self, credential: str, utc: int) -> bool:
        """Whether the card may go on; durable when this returned."""
        return _decide(self._folder, credential, utc, self._cards.get(credential))


def _decide(folder: str, credential: str, utc: int, card) -> bool:
    allowed = bool(card) and not card["blocked"] and card["rights"] >= _PRICE
    line = {"card": credential, "time": utc, "account": card["account"] if card else 0, "ok": allowed}
    with open(folder + "/log.jsonl", "a") as log:
        log.write(json.dumps(line) + "\n")
    return allowed
