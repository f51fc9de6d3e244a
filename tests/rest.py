"""The REST API as a service uses it."""

from typing import Any

from rest_framework.response import Response
from rest_framework.test import APIClient

from mqsite.boundaries import ensure_boundary, issue_api_key


def client_of(boundary: str) -> APIClient:
    """A client with an API key of the boundary."""
    _, token = issue_api_key(ensure_boundary(boundary), "test")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def patch(client: APIClient, path: str, body: Any) -> Response:
    """PATCH of a path below /api/."""
    return client.patch(f"/api/{path}", body, format="json")


def post(client: APIClient, path: str, body: Any) -> Response:
    """POST to a path below /api/."""
    return client.post(f"/api/{path}", body, format="json")
