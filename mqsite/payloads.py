"""Payloads are bytes the user owns. Here a Python value becomes bytes, and bytes become text to show."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import simplejson
from django.core.serializers.json import DjangoJSONEncoder

from mqsite.errors import Invalid

JSON = "application/json"
TEXT = "text/plain"

MOST_HEADERS = 100  # shown to a person
MOST_HEADER_CHARACTERS = 1_000

Headers = Sequence[tuple[str, str]]


def encode(value: Any, content_type: str | None = None) -> tuple[bytes | None, str | None]:
    """(bytes, content type) of `value`.

    bytes and None stay as they are, of no type unless it is given; text becomes UTF-8, anything else
    becomes JSON. Decimal is written digit by digit; NaN and infinity are refused, they are not JSON.
    """
    if value is None or isinstance(value, bytes):
        return value, content_type
    if isinstance(value, bytearray | memoryview):
        return bytes(value), content_type
    if isinstance(value, str):
        return encode_text(value), content_type or TEXT
    return dump_json(value), content_type or JSON


def dump_json(value: Any) -> bytes:
    try:
        text = simplejson.dumps(
            value, use_decimal=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_default
        )
    except (TypeError, ValueError) as error:
        raise Invalid(reason=f"The value cannot be written as JSON: {error}.") from error
    return encode_text(text)


def encode_text(text: str) -> bytes:
    """UTF-8. JSON's escapes can write half a character, which it cannot say."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(reason=f"The text has a character that UTF-8 cannot write: {error.reason}.") from error


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store it as text: no NUL, no half of a character."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def end_of_text(text: str, most: int) -> str:
    """The last characters of an error, without those that PostgreSQL cannot store."""
    return text[-most:].encode(errors="replace").decode().replace("\0", "")


def load_json(data: bytes | str) -> Any:
    """Parsed JSON with every number exactly as it was written: whole ones as int, others as Decimal."""
    return simplejson.loads(data, use_decimal=True)


def decode(data: bytes | None, content_type: str | None) -> Any:
    """`data` as its content type says: text as str, JSON parsed, anything else the bytes; ValueError if it is not
    what it claims to be. Parameters such as a charset of UTF-8 are passed over, any other charset is bytes."""
    kind, _, parameters = (content_type or "").lower().partition(";")
    kind, charset = kind.strip(), parameters.partition("charset=")[2].strip(' "')
    if data is None or charset not in ("", "utf-8", "us-ascii"):
        return data
    if kind == JSON or kind.endswith("+json"):
        return json.loads(data)
    return data.decode() if kind.startswith("text/") else data


def encode_key(key: str | bytes | None) -> bytes | None:
    """A key as bytes: text is UTF-8. An empty key is a key; None is none."""
    if key is None or isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return encode_text(key)
    raise Invalid(reason=f"A key is text, bytes or None, not {type(key).__name__}.")


def encode_headers(headers: Headers) -> str | None:
    """`[["name","value"],...]`, as it is stored; None for no headers."""
    if not headers:
        return None
    for header in headers:
        if len(header) != 2 or not all(isinstance(part, str) for part in header):
            raise Invalid(reason=f"Headers are pairs of name and value, both text; this is {header!r}.")
    return dump_json([list(header) for header in headers]).decode()


def decode_base64(name: str, text: Any) -> bytes:
    """The bytes of the field `name`, which came as base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise Invalid(reason=f"{name} is not base64: {error}.") from error


def bytes_or_text(name: str, data: bytes | None) -> dict[str, str | None]:
    """The field `name` for JSON: as text where it is UTF-8, else as `<name>_base64`."""
    try:
        return {name: None if data is None else data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data or b"").decode()}


def as_text(data: bytes | None) -> str | None:
    """`data` for a person to read: its text, or its bytes in hex where it is not UTF-8."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex(" ")


def read_beginning(data: bytes, size: int) -> tuple[str, int]:
    """The beginning of `size` bytes as text, or in hex, and how many bytes that is: a character is not cut in two."""
    if len(data) < size:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            data = data[: error.start] if error.start > len(data) - 4 else data
    return as_text(data) or "", len(data)


def shown_headers(raw: str | None) -> tuple[list[tuple[str, str]], int]:
    """Stored headers for a person to read, each cut, and how many are left out."""
    headers = json.loads(raw) if raw else []
    shown = [(str(name)[:MOST_HEADER_CHARACTERS], _cut(str(value))) for name, value in headers[:MOST_HEADERS]]
    return shown, len(headers) - len(shown)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_HEADER_CHARACTERS else f"{text[:MOST_HEADER_CHARACTERS]}… {len(text):,} characters"


def _default(value: Any) -> Any:
    return DjangoJSONEncoder().default(value)
