"""A desk's PC in the tests of the cloud: its requests, and what they name."""

from cloud import bulk
from cloud.db import reading
from protocols.card import credential
from scripts import sample_school as sample
from tests.fixtures.pages import Pages

PROOF, BARE = "app:4B4B01:0102030405060708", "a:04C716D07C564B"
OTHER_PROOF, OTHER_BARE = "app:4B4B01:1112131415161718", "a:04C716D07C564C"


class Desk:
    """A desk's PC, as reader_host speaks to the cloud: no Origin, no cookie."""

    def __init__(self, pages: Pages, token: str) -> None:
        self.pages = pages
        self.client = pages.app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}
        self.number = 0

    def send(self, *operations):
        answer = self.client.post(
            "/api/desk/cards", json={"operations": list(operations)}, headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return [(each["result"], each["number"]) for each in answer.get_json()["results"]]

    def make(self, op, student, credential, **more):
        self.number += 1
        return {"op": op, "op_id": f"{self.number:016x}", "student": student, "credential": credential,
                "uid": None, "kind": "card", "until": None, "at": self.pages.clock.now, **more}  # fmt: skip


def student(pages, account):
    with reading(pages.engine) as conn:
        statement = "SELECT external_id FROM pupil WHERE school_id = ? AND account_id = ?"
        return bulk.select(conn, statement, (sample.SCHOOL, account))[0][0]


def short(pages, text):
    """A card as devices and desks know it."""
    return credential.card_ref(pages.site.vault.reference_key(sample.SCHOOL), text)[:8].hex()
