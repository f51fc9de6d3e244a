"""`bin/up`: the whole house with one command, from the servers to the first page."""

import argparse
import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psycopg

from mqsite.stack import outside_servers, placement, ports, processes
from mqsite.stack.errors import StackError
from mqsite.stack.home import Home
from mqsite.stack.postgres import Postgres, end_leftovers
from mqsite.stack.supervision import Stop, Supervisor
from mqsite.stack.terminal import complain, say, step
from mqsite.stack.valkey import Valkey

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = "examples.flights"
START_SECONDS = 60
ADMIN = "admin"


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    supervisor = Supervisor()
    supervisor.catch_signals()
    try:
        run(options, supervisor)
    except Stop:
        return 0
    except StackError as error:
        complain(str(error))
    except OSError as error:
        complain(describe(error))
    except psycopg.Error as error:
        complain(f"The database went away: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
    return 1


def run(options: argparse.Namespace, supervisor: Supervisor) -> None:
    home = Home(PROJECT / ".mqsite")
    home.open(take_over=options.reset)
    if options.reset:
        delete_everything(home)
    refuse_taken_port(options.port)
    outside_servers.refuse_unusable(os.environ)
    say("mqsite is starting.")
    try:
        environment = start_servers(home, supervisor, options)
        migrate(environment)
        password = create_admin(home, environment)
        start_programs(home, supervisor, environment, options)
        greet(options, password)
        forget_password(home, environment)
        supervisor.watch()
    finally:
        stop(home, supervisor)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/up",
        description="Starts PostgreSQL, Valkey, the web server, a worker and beat, with an example of real flights.",
        epilog="DATABASE_URL and REDIS_URL in the environment take the place of the servers it would start. "
        "Ctrl-C stops everything; the data stays in .mqsite/.",
    )
    parser.add_argument("--port", type=port_number, default=8000, metavar="N", help="of the web server (default: 8000)")
    parser.add_argument("--no-example", action="store_true", help="start without the flights")
    parser.add_argument("--speed", type=float, metavar="N", help="how fast the flights are played")
    parser.add_argument("--reset", action="store_true", help="stop a running house, delete its data, start afresh")
    return parser.parse_args(arguments)


def port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no number between 1 and 65535")
    return int(text)


def delete_everything(home: Home) -> None:
    folders = [home.folder, *placement.all_outside(home.folder)]
    say(f"Deleting all data in {' and '.join(str(folder) for folder in folders)}.")
    for folder in folders:
        end_leftovers(folder / "postgres")
    home.delete_data()
    for folder in folders[1:]:
        shutil.rmtree(folder)


def refuse_taken_port(port: int) -> None:
    if not ports.is_free(port):
        raise StackError(f"Port {port} is in use; choose another one with --port.")


def start_servers(home: Home, supervisor: Supervisor, options: argparse.Namespace) -> dict[str, str]:
    """Returns the environment of the programs, after noting it down for other terminals."""
    noted = {
        "DATABASE_URL": start_postgres(home, supervisor),
        "REDIS_URL": start_valkey(home, supervisor),
        "MQSITE_SECRET_KEY": home.read_secret("secret_key"),
        "MQSITE_OPEN_OVERVIEW": "1",
        "MQSITE_SERVE_STATIC_UNCOLLECTED": "1",
        "MQSITE_APPS": choose_apps(with_example=not options.no_example),
    }
    home.write_environment(noted)
    # What the user set wins, as it does in settings.py; the apps are already both.
    return {**noted, **os.environ, "MQSITE_APPS": noted["MQSITE_APPS"], "PYTHONUNBUFFERED": "1"}


def start_postgres(home: Home, supervisor: Supervisor) -> str:
    if url := os.environ.get("DATABASE_URL"):
        return url
    placed = placement.place(home.folder, home.read_secret("identity")[:8])
    server = Postgres(
        placed,
        password=home.read_secret("postgres_password"),
        log=home.log("postgres"),
        port=int(home.read_note("postgres_port") or 0),
    )
    with step("PostgreSQL" if server.has_data() else "PostgreSQL, with a new database") as remarks:
        supervisor.start(server)
        remarks.append(f"data in {server.data}")
    home.write_note("postgres_port", str(server.port))
    return server.url()


def start_valkey(home: Home, supervisor: Supervisor) -> str:
    if url := os.environ.get("REDIS_URL"):
        return url
    server = Valkey(
        home.folder / "valkey",
        password=home.read_secret("valkey_password"),
        log=home.log("valkey"),
        port=int(home.read_note("valkey_port") or 0),
    )
    with step("Valkey"):
        supervisor.start(server)
    home.write_note("valkey_port", str(server.port))
    return server.url()


def choose_apps(*, with_example: bool) -> str:
    apps = [app for app in os.environ.get("MQSITE_APPS", "").split(",") if app]
    if with_example and EXAMPLE not in apps:
        apps.append(EXAMPLE)
    return ",".join(apps)


def migrate(environment: Mapping[str, str]) -> None:
    with step("Migrations") as remarks:
        code, output = manage(environment, "migrate", "--no-input")
        if code:
            raise StackError(f"The migrations failed. manage.py migrate said:\n{output.strip()}")
        remarks.append(f"{output.count('... OK')} applied")


def create_admin(home: Home, environment: Mapping[str, str]) -> str | None:
    """Returns the password if it has not been shown yet.

    It is noted before the user exists and forgotten once it was shown, so whenever a
    start is interrupted, the next one shows the right one.
    """
    note = admin_note(environment)
    known = home.read_note(note)
    if known == "":
        return None
    password = known or secrets.token_urlsafe(9)
    home.write_note(note, password)
    with step("Admin user"):
        code, output = manage(
            {**environment, "DJANGO_SUPERUSER_PASSWORD": password},
            *("createsuperuser", "--no-input", "--username", ADMIN, "--email", "admin@localhost"),
        )
    if code and "already taken" not in output:
        raise StackError(f"The user {ADMIN} could not be made. manage.py createsuperuser said:\n{output.strip()}")
    if code and known is None:  # somebody else's user, in a database of their own
        home.write_note(note, "")
        return None
    return password


def forget_password(home: Home, environment: Mapping[str, str]) -> None:
    home.write_note(admin_note(environment), "")


def admin_note(environment: Mapping[str, str]) -> str:
    """One for each database the house has been used with."""
    outside = os.environ.get("DATABASE_URL")
    return f"admin_password_{hashlib.sha256(outside.encode()).hexdigest()[:12] if outside else 'embedded'}"


def start_programs(
    home: Home, supervisor: Supervisor, environment: Mapping[str, str], options: argparse.Namespace
) -> None:
    def program(name: str, *command: str, stop_seconds: float = 10) -> processes.Program:
        return processes.Program(
            name,
            [sys.executable, *command],
            log=home.log(name),
            env=environment,
            cwd=PROJECT,
            stop_seconds=stop_seconds,
        )

    celery = ("-m", "celery", "-A", "mqsite")
    web = program(
        "Web",
        *("-m", "uvicorn", "mqsite.asgi:application", "--host", ports.LOOPBACK, "--port", str(options.port)),
        *("--no-access-log", "--timeout-graceful-shutdown", "3"),
    )
    worker = program(
        "Worker",
        *(*celery, "worker", "--queues", "consume", "--concurrency", "2"),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        stop_seconds=20,
    )
    beat = program("Beat", *celery, "beat", "--schedule", str(home.subfolder("beat") / "schedule"), "--pidfile=")
    with step("Web server, worker and beat"), psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
        before = read_clock(database)
        for service in (web, worker, beat):
            supervisor.start(service)
        wait_for("web server", web, lambda: ports.answers(options.port))
        wait_for("worker", worker, lambda: is_worker_alive(database, since=before))
    if not options.no_example:
        speed = () if options.speed is None else ("--speed", str(options.speed))
        supervisor.start(program("Flights", "manage.py", "play_flights", *speed), is_essential=False)


def wait_for(what: str, program: processes.Program, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_there():
        if program.ended() is not None or time.monotonic() > deadline:
            raise StackError("\n".join([f"The {what} did not start. Its last lines:", *program.last_lines()]))
        time.sleep(0.05)


def read_clock(database: "psycopg.Connection[Any]") -> datetime:
    row = database.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return cast(datetime, row[0])


def is_worker_alive(database: "psycopg.Connection[Any]", *, since: datetime) -> bool:
    """Whether one was heard of: or the first page to open would say that no worker is alive."""
    found = database.execute("SELECT FROM mqsite_workerprocess WHERE started_at > %s LIMIT 1", [since])
    return found.fetchone() is not None


def greet(options: argparse.Namespace, password: str | None) -> None:
    address = f"http://{ports.LOOPBACK}:{options.port}"
    login = f"user {ADMIN}, password {password} (shown only this once)" if password else f"user {ADMIN}"
    flights = "" if options.no_example else ": real flights, being played"
    say(
        f"\nmqsite is running at {address}/\n\n"
        f"  {address}/        what flows right now, without a login{flights}\n"
        f"  {address}/admin/  topics, queues and API keys: {login}\n"
        f"  README.md                     publish and send over REST, with curl\n"
        f"  .mqsite/logs/                 what the processes print\n\n"
        f"Ctrl-C stops everything; the data stays."
    )


def stop(home: Home, supervisor: Supervisor) -> None:
    was_running = bool(supervisor.watched)
    if was_running:
        say("\nStopping ...")
    supervisor.stop()
    home.clear_environment()
    if was_running:
        say("Stopped.")


def manage(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    return processes.run([sys.executable, "manage.py", *arguments], env=environment, cwd=PROJECT)


def describe(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk is full{f' at {error.filename}' if error.filename else ''}."
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."


if __name__ == "__main__":
    with contextlib.suppress(Stop):
        sys.exit(main())
