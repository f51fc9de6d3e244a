"""Request bodies with every number as it was written."""

from collections.abc import Mapping
from typing import IO, Any

import simplejson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from mqsite.payloads import load_json


class ExactJSONParser(BaseParser):
    """JSON whose numbers become int and Decimal, never a float that would bend them."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return load_json(stream.read())
        except (simplejson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not JSON: {error}") from error
