"""What is wrong with the declarations, found at start-up."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from mqsite.registry import registries


@register()
def check_clashes(**_: Any) -> list[CheckMessage]:
    return [
        Error(clash, hint="Keep one declaration and import it where it is used.", id="mqsite.E001")
        for registry in registries
        for clash in registry.clashes
    ]
