"""The same key goes to the same partition as with Kafka's default partitioner."""

import pytest

from logs.partitioner import murmur2, partition_for_key

# UtilsTest.testMurmur2 of Apache Kafka, as signed numbers
VECTORS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
    "": 275646681,
}


@pytest.mark.parametrize(("key", "expected"), VECTORS.items())
def test_murmur2_is_kafkas(key: str, expected: int) -> None:
    assert murmur2(key.encode()) == expected & 0xFFFFFFFF


@pytest.mark.parametrize(("key", "expected"), [("foobar", 6), ("abc", 3), ("order-1", 10), ("clé", 6)])
def test_partitions_are_kafkas(key: str, expected: int) -> None:
    assert partition_for_key(key.encode(), 12) == expected
