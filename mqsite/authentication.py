"""Who is asking over REST: a boundary by its API key, or a person by the session."""

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from mqsite.boundaries import find_api_key
from mqsite.models import ApiKey


@dataclass(frozen=True, slots=True)
class BoundaryUser:
    """What request.user is when a boundary asks."""

    boundary: str
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    pk: None = None

    def __str__(self) -> str:
        return self.boundary

    def get_username(self) -> str:
        return self.boundary


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer mq_…`"""

    def authenticate(self, request: Request) -> tuple[BoundaryUser, ApiKey] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = find_api_key(token.strip())
        if key is None:
            raise AuthenticationFailed("This API key is unknown or revoked.")
        return BoundaryUser(key.boundary.name), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def acting_boundary(request: Request) -> str | None:
    """The boundary the request acts for. An operator (superuser) may name one in `X-Boundary`."""
    user = request.user
    if isinstance(user, BoundaryUser):
        return user.boundary
    if getattr(user, "is_superuser", False):
        return request.headers.get("X-Boundary")
    return None


def may_read_errors(request: Request, owner: str | None) -> bool:
    """Whether who asks may read why a handler of this boundary failed: the text may quote what it handled."""
    if getattr(request.user, "is_staff", False) or getattr(request.user, "is_superuser", False):
        return True
    return owner is not None and acting_boundary(request) == owner


def acting_name(request: Request) -> str:
    """How the audit names who asked."""
    return str(request.user)
