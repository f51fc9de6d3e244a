"""Which partition a record goes to: Kafka's default partitioner, so that a key finds the same one everywhere."""

from struct import unpack_from

SEED = 0x9747B28C
M = 0x5BD1E995
MASK = 0xFFFFFFFF
MAX_REMEMBERED_KEYS = 65_536


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 (org.apache.kafka.common.utils.Utils), as an unsigned number."""
    length = len(data)
    h = SEED ^ length
    for k in unpack_from(f"<{length >> 2}I", data):
        k = k * M & MASK
        h = (h * M & MASK) ^ ((k ^ k >> 24) * M & MASK)
    if length & 3:
        h = (h ^ int.from_bytes(data[length & ~3 :], "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


class _Hashes(dict[bytes, int]):
    """Key to its hash, as the partitioner uses it. A batch looks up a thousand, and most keys come again."""

    def __missing__(self, key: bytes) -> int:
        if len(self) >= MAX_REMEMBERED_KEYS:
            self.clear()
        self[key] = found = murmur2(key) & 0x7FFFFFFF
        return found


hashes = _Hashes()


def partition_for_key(key: bytes, partitions: int) -> int:
    return hashes[key] % partitions
