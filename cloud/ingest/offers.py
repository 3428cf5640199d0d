"""Work that other processes leave for a till: new money is granted, what a payout wants is called back.

Promises: what is granted is free beside what open payouts want; a recall asks
for no more than payouts miss, however often the work comes.  In recovery
nothing of it is done.
"""

from cloud.accounting.service import BY_OFFER
from cloud.ingest.fleet import Device
from cloud.ingest.means import BALANCED
from cloud.ingest.needs import Desk, recall
from protocols.ledger import parent
from protocols.ledger.record import MONEY


def offer(desk: Desk, device: Device, account_ids: list[int], work_id: int) -> None:
    """Money or credit is free here: grant the home till what is free, up to CAP.

    `work_id`: the row of downlink that asks for it.
    """
    rules, told = desk.rules(device.school_id), []
    for account_id, bucket in ((account, bucket) for account in account_ids for bucket in BALANCED):
        place = device.school_id, account_id, bucket
        key = (*device.key, device.epoch, account_id, bucket)
        out = desk.rights.out(*place)
        free = parent.free(desk.balance(*place), rules.slack(bucket), out, desk.reserved(*place))
        held = desk.rights.get(key).rights
        more = parent.grantable(rules.cap_minor, free, held, rules.cap_minor, desk.room(device))
        if more:
            total = desk.rights.grant(key, more, (BY_OFFER, work_id))
            desk.granted(device, account_id, bucket, more, total)
            told.append((account_id, bucket, total))
    desk.post.grants(device, told)


def recall_for_payouts(desk: Desk, device: Device, account_id: int) -> None:
    """Ask a till for what open payouts of a purse miss and no other till online was asked for."""
    place = device.school_id, account_id, MONEY
    own = (*device.key, device.epoch, account_id, MONEY)
    out = desk.rights.out(*place)
    wanted = parent.missing(desk.reserved(*place), desk.balance(*place), out)
    for key, right in desk.rights.holders(*place):
        if key != own and right.online:
            wanted -= min(right.rights, max(0, right.recall_target - right.counters.returned))
    part = min(wanted, desk.rights.get(own).rights)
    if part > 0:
        recall(desk.rights, desk.post, device, own, part)
