"""HTTP and WebSocket on one port: HTTP goes through WSGI, which costs a quarter of Django's ASGI path."""

from mqsite.wsgi import application as wsgi_application  # isort: skip  (sets Django up first)

from a2wsgi import WSGIMiddleware
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

from mqsite.urls import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        "http": WSGIMiddleware(wsgi_application, workers=settings.MQSITE_HTTP_THREADS),  # type: ignore[arg-type]
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
