"""The page on testing is true in a project that has nothing of this repository's own tests."""

import os
import re
import sys
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit, urlunsplit

import pytest

from mqsite.stack import processes

PROJECT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"```python\n# (\S+\.py)\n(.*?)```", re.DOTALL)

SHOP = {
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models

        class Invoice(models.Model):
            number = models.IntegerField()
            total = models.IntegerField()
    """,
    "shop/messaging.py": """
        from logs.declarations import Group, Topic
        from queues.declarations import Queue

        ORDERS = Topic("orders", owner="shop", partitions=4)
        BILLING = Group("billing", owner="accounts")
        LETTERS = Queue("letters", owner="post", is_ordered=True)
    """,
    "shop/services.py": """
        from logs.services import publish
        from shop.messaging import ORDERS

        def place_order(number, *, total):
            publish(ORDERS, {"number": number, "total": total})
    """,
    "shop/consumers.py": """
        from logs.handlers import PARK, subscribe
        from mqsite.retry import Retry
        from queues.handlers import handle
        from queues.services import send
        from shop.messaging import BILLING, LETTERS, ORDERS
        from shop.models import Invoice

        @subscribe(BILLING, ORDERS, on_failure=PARK, retry=Retry(attempts=3))
        def bill(record):
            order = record.json()
            invoice = Invoice.objects.create(**order)
            if order["total"] < 0:
                raise ValueError("below zero")
            send(LETTERS, {"invoice": invoice.number}, group_key="customer-1")

        @handle(LETTERS)
        def post(message):
            pass
    """,
    "pytest.ini": """
        [pytest]
        DJANGO_SETTINGS_MODULE = mqsite.settings
        addopts = -p no:valkey -p no:cacheprovider
    """,
}


@pytest.mark.slow
def test_the_examples_of_the_page_run_without_redis_or_this_repository(tmp_path: Path) -> None:
    page = dict(BLOCK.findall((PROJECT / "docs" / "testing.md").read_text()))
    assert set(page) == {"conftest.py", "test_shop.py", "test_shop_unittest.py"}
    for name, text in (SHOP | page).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    server = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DATABASE_URL": urlunsplit(server._replace(path=f"/shop_{os.getpid()}")),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MQSITE_APPS": "shop",
        "PYTHONPATH": f"{tmp_path}:{PROJECT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    code, output = processes.run([sys.executable, "-m", "pytest", "-q"], env=environment, cwd=tmp_path)
    assert code == 0, output
    assert "4 passed" in output
    assert "No hints for" not in output
