"""Request bodies with every number as it was written."""

from collections.abc import Mapping
from typing import IO, Any

import simplejson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from mqsite.errors import PayloadTooLarge
from mqsite.payloads import load_json


class ExactJSONParser(BaseParser):
    """JSON whose numbers become int and Decimal, never a float that would bend them."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _require_size((parser_context or {}).get("request"))
        try:
            return load_json(stream.read())
        except (simplejson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not JSON: {error}") from error


def _require_size(request: Request | None) -> None:
    """Django minds its own limit where it reads the body itself, and here it does not. No more is read than this."""
    size, most = int(request.META.get("CONTENT_LENGTH") or 0) if request else 0, settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if size > most:
        raise PayloadTooLarge(what="The body", size=size, name="a request", limit=most)
