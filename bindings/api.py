"""REST of bindings: parse, call a service or selector, answer."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bindings import selectors, services
from bindings.errors import BinderNotOwner
from bindings.serializers import BindingInput, BindingsInput
from mqsite.authentication import acting_boundary, acting_name
from mqsite.boundaries import require_acting
from mqsite.fields import ReasonInput
from mqsite.parsing import checked


class BindingsView(APIView):
    """The bindings by name (`?topic=`, `queue`, `after`, `limit`), and a new one by the owner of its queue."""

    def get(self, request: Request) -> Response:
        given = checked(BindingsInput, request.query_params)
        found = selectors.list_bindings(**given)
        is_full = len(found) == given["limit"]
        return Response({"bindings": found, "next_after": found[-1]["name"] if is_full else None})

    def post(self, request: Request) -> Response:
        given = checked(BindingInput, request.data)
        boundary = require_acting(acting_boundary(request))
        name = services.bind(boundary=boundary, actor=acting_name(request), **given)
        return Response(selectors.describe_binding(name), status=status.HTTP_201_CREATED)


class BindingView(APIView):
    """One binding; removed by the owner of its queue."""

    def get(self, request: Request, binding: str) -> Response:
        return Response(selectors.describe_binding(binding))

    def delete(self, request: Request, binding: str) -> Response:
        row = selectors.require_binding(binding)
        boundary = acting_boundary(request)
        if boundary != row.owner and not getattr(request.user, "is_superuser", False):
            raise BinderNotOwner(owner=row.owner, verb="binds", name=row.queue, boundary=boundary or "nobody")
        given = checked(ReasonInput, request.data)
        services.unbind(binding, actor=acting_name(request), **given)
        return Response(status=status.HTTP_204_NO_CONTENT)
