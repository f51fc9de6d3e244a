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


def get(client: APIClient, path: str, **query: Any) -> Response:
    """GET of a whole path."""
    return client.get(path, query)


def patch(client: APIClient, path: str, body: Any) -> Response:
    """PATCH of a path below /api/."""
    return client.patch(f"/api/{path}", body, format="json")


def post(client: APIClient, path: str, body: Any) -> Response:
    """POST to a path below /api/."""
    return client.post(f"/api/{path}", body, format="json")


def read_pages(client: APIClient, path: str, **query: Any) -> list[Response]:
    """Every page, each begun where the one before ended."""
    pages: list[Response] = []
    mark = None
    while not pages or mark is not None:
        page = get(client, path, **(query if mark is None else {**query, "after": mark}))
        assert page.status_code == 200, page.data
        pages.append(page)
        mark = page.data["next_after"]
    return pages


def found_ids(pages: list[Response]) -> list[int]:
    return [message["id"] for page in pages for message in page.data["messages"]]
