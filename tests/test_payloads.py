"""No number is ever bent, no byte is changed."""

from decimal import Decimal

import pytest

from mqsite.errors import Invalid
from mqsite.payloads import as_text, encode, load_json


@pytest.mark.parametrize(
    "text",
    ["9007199254740993", "1.10", "0.1000000000000000055511151231257827", "-0.0", "123456789012345678901234567890"],
)
def test_a_number_comes_out_as_it_went_in(text: str) -> None:
    assert encode(load_json(f'{{"n":{text}}}')) == (f'{{"n":{text}}}'.encode(), "application/json")


def test_each_kind_of_value_has_its_content_type() -> None:
    assert encode(b"\x00") == (b"\x00", None)
    assert encode("é") == ("é".encode(), "text/plain")
    assert encode({"é": [None, True]}) == ('{"é":[null,true]}'.encode(), "application/json")
    assert encode(None) == (None, None)
    assert encode(Decimal("1.50")) == (b"1.50", "application/json")


def test_what_json_cannot_say_is_refused() -> None:
    for value in (float("inf"), object(), {1, 2}):
        with pytest.raises(Invalid, match="cannot be written as JSON"):
            encode(value)


def test_bytes_that_are_no_text_are_shown_in_hex() -> None:
    assert as_text(b"\xff\x00") == "ff 00"
