"""Make the flash image that one way of a bench starts from, as that way would find it in the field.

    micropython -X heapsize=64m -m scripts.bench.chip.prepare IMAGE FOLDER CHOICE

IMAGE: product, file_per_card, one_file.  Reads FOLDER/cards.txt (credential, account, rights, benefit days,
blocked, class a line), accounts.1, accounts.2, settings.bin; writes FOLDER/IMAGE.first and for the product
journal.first.  Its canteen line has served every card once under the first table, so its counters are as many
as they will ever be; the second table places more rights and is the one that is measured.
"""

import json
import os
import sys

from firmware.ports.host_flash import make_blank
from firmware.ports.host_storage import FileStorage
from scripts.bench.chip import flash_image
from scripts.bench.chip.json_ways import card_path
from scripts.bench.chip.product import Product

_JOURNAL_SIZE = 1024 * 1024
_FIRST_UTC = 1756620000
_SECONDS_BETWEEN = 5


def cards(folder: str):
    """Yield (credential, dict of the card) for each line of the card set: what a row of the table holds."""
    with open(folder + "/cards.txt") as file:
        for line in file:
            credential, account, rights, benefit_days, blocked, class_number = line.split()
            card = {"account": int(account), "rights": int(rights), "benefit_days": int(benefit_days)}
            card["blocked"] = blocked == "1"
            card["class"] = int(class_number)
            yield credential, card


def copy(source: str, target: str) -> None:
    """A file from the host into littlefs."""
    with open(source, "rb") as file, open(target, "wb") as made:
        made.write(file.read())


def one_file(folder: str, root: str) -> None:
    """All cards as one JSON object."""
    with open(root + "/cards.json", "w") as file:
        separator = "{"
        for credential, card in cards(folder):
            file.write("%s%s: %s" % (separator, json.dumps(credential), json.dumps(card)))
            separator = ", "
        file.write("}")


def file_per_card(folder: str, root: str) -> None:
    """A folder with a JSON file for each card."""
    os.mkdir(root + "/cards")
    for credential, card in cards(folder):
        with open(card_path(root, credential), "w") as file:
            json.dump(card, file)


def product(folder: str, root: str) -> None:
    """A canteen line at which every card has eaten once, with a newer table."""
    copy(folder + "/settings.bin", root + "/settings")
    copy(folder + "/accounts.1", root + "/accounts")
    make_blank(folder + "/journal.bin", _JOURNAL_SIZE)
    line = Product("canteen", folder, FileStorage(root))
    for number, (credential, _card) in enumerate(cards(folder)):
        line.tap(credential, _FIRST_UTC + _SECONDS_BETWEEN * number)
        line.settle()
    line.checkpoint()
    os.rename(folder + "/journal.bin", folder + "/journal.first")
    copy(folder + "/accounts.2", root + "/accounts")


_MAKERS = {"product": (product, 256), "file_per_card": (file_per_card, 1024), "one_file": (one_file, 512)}


def main(image: str, folder: str, choice: str) -> None:
    """Make one image; print its size and parameters."""
    maker, sectors = _MAKERS[image]
    flash_image.collect_as_usual()
    flash = flash_image.make(sectors, choice)
    maker(folder, flash_image.MOUNT_POINT)
    flash.save("%s/%s.first" % (folder, image))
    print(json.dumps({"image_kb": flash.size // 1024, "littlefs": flash_image.littlefs(choice)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
