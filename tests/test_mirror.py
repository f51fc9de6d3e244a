"""One house, built twice: both halves have the same rooms, and one store function per statement."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HALVES = ("logs", "queues")
OWN = {
    "logs": {
        "partitioner",
        "configs",
        "keeping",
        "metadata",
        "policies",
        "sharing",
        "forecast",
        "group_api",
        "group_serializers",
        "admin_pages",
        "group_admin",
        "group_forms",
        "group_pictures",
        "group_views",
        "parked_api",
        "parked_pictures",
        "parked_views",
    },
    "queues": {
        "floors",
        "listings",
        "memory",
        "message_pictures",
        "message_views",
        "periodic",
        "periodic_api",
        "periodic_pictures",
        "periodic_views",
        "queue_views",
        "settings",
        "lookups",
        "queue_api",
        "reply_api",
        "quota_admin",
        "queue_serializers",
        "letter_api",
        "letter_serializers",
    },
}


def rooms(half: str) -> set[str]:
    """Files or packages: a room that outgrows its file becomes one."""
    files = {path.stem for path in (ROOT / half).glob("*.py")}
    return (files | {path.name for path in (ROOT / half).iterdir() if (path / "__init__.py").exists()}) - OWN[half]


def test_both_halves_have_the_same_rooms() -> None:
    assert rooms("logs") == rooms("queues")


@pytest.mark.parametrize("half", HALVES)
def test_each_statement_has_one_store_function_of_its_name(half: str) -> None:
    functions = {node.name for node in _functions(half) if not node.name.startswith("_")}
    assert functions == {path.stem for path in (ROOT / half / "sql").glob("*.sql")}


@pytest.mark.parametrize("half", HALVES)
def test_each_statement_opens_with_the_reason_for_its_shape(half: str) -> None:
    files = list((ROOT / half / "sql").rglob("*.sql"))
    assert files
    assert [f.name for f in files if not f.read_text().startswith("-- ")] == []


@pytest.mark.parametrize("half", HALVES)
def test_statements_keep_to_their_length(half: str) -> None:
    lengths = {path.name: path.read_text().count("\n") for path in (ROOT / half / "sql").rglob("*.sql")}
    assert {n: size for n, size in lengths.items() if size > (80 if n[0].isdigit() else 40)} == {}


def _functions(half: str) -> list[ast.FunctionDef]:
    store = ROOT / half / "store"
    files = [*store.glob("*.py")] if store.is_dir() else [store.with_suffix(".py")]
    nodes = [node for file in files if file.stem != "running" for node in ast.parse(file.read_text()).body]
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]
