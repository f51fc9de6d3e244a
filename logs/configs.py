"""A topic's configuration, under Kafka's names and with its defaults. One table says what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Field

from logs.models import Topic
from mqsite.errors import Invalid

FOREVER = -1
MAX_MESSAGE_BYTES_LIMIT = 50 * 1024 * 1024
MAX_BIGINT = 2**63 - 1
MAX_MS = 10**14  # 3,000 years: what lies further back, PostgreSQL's calendar does not have


@dataclass(frozen=True, slots=True)
class Config:
    """`least` and `most` bound a number; `choices` are the words allowed; neither: true or false."""

    name: str
    description: str
    least: int | None = None
    most: int = MAX_BIGINT
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The column of Topic."""
        return self.name.replace(".", "_")

    @property
    def default(self) -> Any:
        column: Field[Any, Any] = Topic._meta.get_field(self.field)  # type: ignore[assignment]
        return column.get_default()

    @property
    def allowed(self) -> str:
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        if self.least is None:
            return "true or false"
        return f"a whole number from {self.least} to {self.most:,}"

    def parse(self, value: Any) -> Any:
        """`value`, or the text of one as Kafka's tools send it; None is the default."""
        if value is None:
            return self.default
        if self.choices:
            return self._choose(str(value).replace(" ", ""))
        if self.least is None:
            return self._parse_flag(value)
        return self._parse_number(value)

    def _choose(self, word: str) -> str:
        ordered = ",".join(sorted(word.split(",")))
        if ordered not in self.choices:
            raise self._refused(word)
        return ordered

    def _parse_flag(self, value: Any) -> bool:
        flag = {"true": True, "false": False}.get(str(value).lower())
        if flag is None:
            raise self._refused(value)
        return flag

    def _parse_number(self, value: Any) -> int:
        assert self.least is not None
        is_text = isinstance(value, str) and value.strip().removeprefix("-").isdecimal()
        if not is_text and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._refused(value)
        if not self.least <= int(value) <= self.most:
            raise self._refused(value)
        return int(value)

    def _refused(self, value: Any) -> Invalid:
        return Invalid(reason=f"{self.name} is {value!r}; allowed is {self.allowed}.")


CONFIGS = {
    config.name: config
    for config in (
        Config(
            "cleanup.policy",
            "delete: records go when they are old. compact: the newest record of each key stays.",
            choices=tuple(Topic.CleanupPolicy.values),
        ),
        Config("retention.ms", "How long records stay; -1 is forever.", least=FOREVER, most=MAX_MS),
        Config("retention.bytes", "How many bytes of a PARTITION stay; -1 is no limit.", least=FOREVER),
        Config(
            "max.message.bytes",
            "The most a record may have: key, value and headers.",
            least=1,
            most=MAX_MESSAGE_BYTES_LIMIT,
        ),
        Config(
            "message.timestamp.type",
            "Whose timestamp a record has: the publisher's, if it gives one, or always that of the append.",
            choices=tuple(Topic.TimestampType.values),
        ),
        Config(
            "message.timestamp.after.max.ms",
            "How far ahead of the clock a publisher's timestamp may be: one from the future would hold up retention.",
            least=0,
            most=MAX_MS,
        ),
        Config(
            "delete.retention.ms",
            "How long compaction keeps a tombstone (a record without a value).",
            least=0,
            most=MAX_MS,
        ),
        Config(
            "min.compaction.lag.ms", "How old a record must be before compaction looks at it.", least=0, most=MAX_MS
        ),
        Config("index.keys", "Find records by key through an index. On for compacted topics. Not one of Kafka's."),
    )
}


def parse_configs(given: Mapping[str, Any]) -> dict[str, Any]:
    """Kafka's names to values becomes columns of Topic to values. None asks for the default."""
    unknown = sorted(set(given) - set(CONFIGS))
    if unknown:
        raise Invalid(reason=f"There is no topic configuration {unknown[0]!r}; there are {', '.join(CONFIGS)}.")
    return {CONFIGS[name].field: CONFIGS[name].parse(value) for name, value in given.items()}


def read_configs(topic: Topic) -> dict[str, Any]:
    """Every configuration of a topic, by Kafka's name."""
    return {name: getattr(topic, config.field) for name, config in CONFIGS.items()}


def describe_configs(topic: Topic) -> list[dict[str, Any]]:
    """Every configuration with its default and what it does."""
    return [
        {
            "name": name,
            "value": value,
            "default": CONFIGS[name].default,
            "is_default": value == CONFIGS[name].default,
            "description": CONFIGS[name].description,
        }
        for name, value in read_configs(topic).items()
    ]
