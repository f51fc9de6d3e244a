"""Who owns what: events have one publisher, commands have one consumer."""

import hashlib
import hmac
import re
import secrets

from mqsite.errors import Invalid, NotOwner
from mqsite.models import NAME_PATTERN, ApiKey, Boundary

NAME_LIMIT = 249


def require_name(name: object, what: str) -> str:
    """`name` if it follows Kafka's rule for names, else a refusal that says the rule."""
    if not isinstance(name, str) or len(name) > NAME_LIMIT or not re.match(NAME_PATTERN, name) or name in {".", ".."}:
        raise Invalid(
            reason=f"{name!r} cannot name a {what}: use 1 to {NAME_LIMIT} of a-z A-Z 0-9 . _ - , not '.' or '..'."
        )
    return name


def require_owner(owner: str, boundary: str | None, *, verb: str, name: str) -> None:
    """Refuse unless `boundary` is the owner; the refusal names the owner."""
    if boundary != owner:
        raise NotOwner(owner=owner, verb=verb, name=name, boundary=boundary or "nobody")


def ensure_boundary(name: str, *, using: str = "default") -> Boundary:
    """The boundary of that name, made if it is missing."""
    require_name(name, "boundary")
    return Boundary.objects.using(using).get_or_create(name=name)[0]


def issue_api_key(boundary: Boundary, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, `mq_<prefix>_<secret>`. The secret is shown this once and kept nowhere."""
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey.objects.create(boundary=boundary, name=name, prefix=prefix, secret_hash=_digest(secret))
    return key, f"mq_{prefix}_{secret}"


def find_api_key(token: str) -> ApiKey | None:
    """The key a token belongs to, unless it is wrong or revoked."""
    parts = token.split("_", 2)
    if len(parts) != 3 or parts[0] != "mq":
        return None
    key = ApiKey.objects.select_related("boundary").filter(prefix=parts[1], revoked_at=None).first()
    return key if key and hmac.compare_digest(key.secret_hash, _digest(parts[2])) else None


def require_acting(boundary: str | None) -> str:
    """The boundary that asks, or a refusal that says how to be one."""
    if boundary is None:
        raise Invalid(
            reason="You act for no boundary. Use its API key, or, as a superuser, name it in the X-Boundary header."
        )
    return boundary


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
