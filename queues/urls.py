"""Pages and API of the queue."""

from django.urls import path

from queues import api, views

pages = [
    path("queues/", views.queues, name="queues"),
    path("queues/<name:name>/", views.queue, name="queue"),
]

endpoints = [
    path("queues/", api.QueuesView.as_view()),
    path("queues/<name:queue>/", api.QueueView.as_view()),
    path("queues/<name:queue>/messages/", api.MessagesView.as_view()),
    path("queues/<name:queue>/leases/", api.LeasesView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/ack/", api.AckView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/nack/", api.NackView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/reject/", api.RejectView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/extend/", api.ExtendView.as_view()),
    path("queues/<name:queue>/redrive/", api.RedriveView.as_view()),
]
