"""Opens the pages of the queue bookings."""

import html
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from mqsite.models import AuditEntry

SCRIPT = "<script>alert(1)</script>"


def bob(*codenames: str) -> Client:
    """Staff with some permissions."""
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="queues"))
    client = Client()
    client.force_login(user)
    return client


def opened(client: Client, address: str = "", **asked: Any) -> str:
    answer = client.get(f"/queues/bookings/{address}", asked)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def sent(client: Client, address: str, **fields: Any) -> str:
    """The page that a form led to."""
    return html.unescape(client.post(f"/queues/bookings/{address}", fields, follow=True).content.decode())


def audited(action: str) -> tuple[str, str, str]:
    entry = AuditEntry.objects.get(action=action)
    return entry.actor, entry.subject, entry.reason
