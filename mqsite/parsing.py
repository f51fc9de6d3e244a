"""Input through a serializer, or a refusal."""

from typing import Any

from rest_framework.serializers import Serializer

from mqsite.errors import Invalid


def checked(kind: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated fields of `data`; rest_framework's ValidationError names each field that is wrong."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def checked_item(item: Any, noun: str, types: dict[str, type]) -> dict[str, Any]:
    """`item` if it is an object with no other fields than `types`, each null or of its type; else a refusal.

    For records and messages, whose payloads a serializer would convert. `object` is any value.
    """
    if not isinstance(item, dict):
        raise Invalid(reason=f"A {noun} is an object, not {type(item).__name__}.")
    if unknown := sorted(set(item) - set(types)):
        raise Invalid(reason=f"A {noun} has no field {unknown[0]!r}; allowed are {', '.join(sorted(types))}.")
    for name, value in item.items():
        kind = types[name]
        if kind is object or value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Invalid(reason=f"{name} is {value!r}; it must be of type {kind.__name__}.")
    return item
