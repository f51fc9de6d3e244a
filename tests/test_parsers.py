"""Bodies of requests: JSON of a limited size."""

import pytest
from django.test import override_settings

from tests.rest import client_of

pytestmark = pytest.mark.django_db


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=16)
def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    client = client_of("sales")
    for body, status in ((b'{"name": "abcd"}', 201), (b'{"name": "abcde"}', 413)):
        answer = client.post("/api/queues/", body, content_type="application/json")
        assert answer.status_code == status, answer.data
    assert answer.data["code"] == "payload_too_large"
    assert answer.data["message"] == "The body has 17 bytes; a request takes at most 16."
