"""Names in URLs."""

from django.urls import register_converter


class NameConverter:
    """Anything but a slash and NUL, which PostgreSQL cannot look for. What is no name is then not found."""

    regex = r"[^/\x00]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NameConverter, "name")
