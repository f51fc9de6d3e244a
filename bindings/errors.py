"""What bindings refuse."""

from mqsite.errors import Conflict, NotFound, NotOwner


class BindingNotFound(NotFound):
    """There is no binding {binding}."""

    code = "binding_not_found"


class BindingAlreadyExists(Conflict):
    """There is a binding or a consumer group {binding} already. Give the new one another name."""

    code = "binding_already_exists"
    permanent = True


class BinderNotOwner(NotOwner):
    """Only {owner} binds topics to {name}, whose messages it handles; you act for {boundary}."""
