"""Every address: pages, sockets, REST, admin."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from bindings import urls as bindings_urls
from logs import urls as logs_urls
from logs.live import GroupSocket, TopicSocket
from mqsite import overview, worker_pages
from queues import urls as queues_urls
from queues.live import QueueSocket

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("workers/", worker_pages.page, name="workers"),
    path("api/", include([*logs_urls.endpoints, *queues_urls.endpoints, *bindings_urls.endpoints])),
    path("api/workers/", worker_pages.WorkersView.as_view()),
    *logs_urls.pages,
    *queues_urls.pages,
]

websocket_urlpatterns = [
    path("ws/overview/", overview.OverviewSocket.as_asgi()),
    path("ws/workers/", worker_pages.WorkersSocket.as_asgi()),
    path("ws/topics/<name:name>/", TopicSocket.as_asgi()),
    path("ws/groups/<name:name>/", GroupSocket.as_asgi()),
    path("ws/queues/<name:name>/", QueueSocket.as_asgi()),
]
