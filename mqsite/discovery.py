"""Finds what installed apps declare and handle: their modules messaging and consumers."""

import logging
import traceback
from functools import cache
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

logger = logging.getLogger(__name__)

#: A sentence for each consumers module that could not be imported, for the checks at start-up.
faults: list[str] = []


@cache
def discover() -> None:
    """Import them, once. A broken `consumers` is noted: workers refuse to start, the site goes on without."""
    for config in apps.get_app_configs():
        if config.module is not None and module_has_submodule(config.module, "messaging"):
            import_module(f"{config.name}.messaging")
        if config.module is not None and module_has_submodule(config.module, "consumers"):
            import_consumers(f"{config.name}.consumers")


def import_consumers(module: str) -> None:
    try:
        import_module(module)
    except Exception as error:
        logger.exception("%s cannot be imported: its handlers are missing", module)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(
            f"{module} cannot be imported: {type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})."
        )
