"""Servers that somebody else runs: looked at before the house starts, so that it says what is wrong."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import psycopg
import redis

from mqsite.stack.errors import StackError

CONNECT_SECONDS = 5


def refuse_unusable(environment: Mapping[str, str]) -> None:
    if url := environment.get("DATABASE_URL"):
        check_database(url)
    if url := environment.get("REDIS_URL"):
        check_redis(url)


def check_database(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.Error as error:
        raise StackError(f"DATABASE_URL ({without_password(url)}) cannot be used: {say_why(error, url)}") from None


def check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise StackError(f"REDIS_URL ({without_password(url)}) cannot be used: {say_why(error, url)}") from None


def without_password(url: str) -> str:
    """Scheme, host, port and path; whatever may be a secret is left out."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "which is not a valid address"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def say_why(error: Exception, url: str) -> str:
    """The driver's first line. Some errors quote the address, and with it the password."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        password = url
    for secret in {url, password, unquote(password)} - {""}:
        line = line.replace(secret, "***")
    return line
