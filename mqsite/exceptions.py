"""What a refusal becomes over REST: one shape for all, the status decided here alone."""

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

from mqsite.errors import Conflict, DiskFull, Invalid, MessagingError, NotFound, NotOwner, PayloadTooLarge

STATUS: dict[type[MessagingError], int] = {
    PayloadTooLarge: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    NotFound: status.HTTP_404_NOT_FOUND,
    NotOwner: status.HTTP_403_FORBIDDEN,
    Conflict: status.HTTP_409_CONFLICT,
    Invalid: status.HTTP_400_BAD_REQUEST,
    DiskFull: status.HTTP_507_INSUFFICIENT_STORAGE,
}


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """`{"code", "message", "permanent"}`, plus `facts` where the refusal has some."""
    if isinstance(error, MessagingError):
        code = next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), status.HTTP_400_BAD_REQUEST)
        body = {"code": error.code, "message": str(error), "permanent": error.permanent, "facts": error.facts}
        return Response(body, status=code)
    response = exception_handler(error, context)
    if response is not None and isinstance(error, APIException):
        body = {"code": error.get_codes() if isinstance(error.detail, str) else "invalid", "permanent": True}
        body["message"] = str(error.detail) if isinstance(error.detail, str) else "Some fields were not accepted."
        if not isinstance(error.detail, str):
            body["fields"] = error.detail
        response.data = body
    return response
