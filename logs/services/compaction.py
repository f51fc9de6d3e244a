"""Compaction keeps the newest record of each key; erasure takes from a key what it said. Offsets stay."""

import hashlib

from django.db import transaction

from logs import metadata, store
from logs.models import ParkedRecord
from mqsite.audit import record_action
from mqsite.errors import Invalid
from mqsite.payloads import encode_key
from mqsite.sql import in_transaction

COMPACT_STEP = 1_000
HASH_STEP = 10_000
TOMBSTONE_BATCH = 1_000


def compact_topics(*, using: str = "default") -> int:
    """One step for each partition that has something to compact; how many offsets were passed and tombstones removed.

    Each step is a transaction of its own; 0 when nothing is left to do.
    """
    done = 0
    for partition_id in store.compactable(using=using):
        done += store.hash_older_keys(partition_id, limit=HASH_STEP, using=using)
        done += store.compact(partition_id, limit=COMPACT_STEP, using=using)
    return done + store.remove_tombstones(limit=TOMBSTONE_BATCH, using=using)


def erase_key(topic: str, key: str | bytes, *, actor: str, reason: str = "", using: str = "default") -> int:
    """Take value and headers from every record of a key (the right to be forgotten); how many had any.

    At once and in all partitions; offsets and the key itself stay, and records published later are not
    touched. Recorded with who asked, and with a hash in place of the key. What PostgreSQL kept of the old
    rows is vacuumed away, except while an older snapshot still sees them; archived WAL and backups keep it.
    Not to be called inside a transaction.
    """
    wanted = encode_key(key)
    if wanted is None:
        raise Invalid(reason="A key is needed: records without one have nothing in common.")
    with transaction.atomic(using=using, durable=True):
        ids = metadata.locate_topic(topic, using=using).partition_ids
        erased, segments = store.erase_key(ids, wanted, using=using)
        # What groups have parked are copies.
        ParkedRecord.objects.using(using).filter(topic=topic, key=wanted).update(value=None, headers=None)
        facts = {"key_sha256": hashlib.sha256(wanted).hexdigest(), "records": erased}
        record_action(actor=actor, action="erase key", subject=topic, reason=reason, facts=facts, using=using)
    if erased and not in_transaction(using):
        for segment in segments:
            store.vacuum(segment, using=using)
    return erased
