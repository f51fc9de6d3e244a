"""Pages and API of the queue."""

from django.urls import path

from queues import (
    api,
    letter_api,
    message_views,
    periodic_api,
    periodic_views,
    queue_api,
    queue_views,
    reply_api,
    views,
)

pages = [
    path("queues/", views.queues, name="queues"),
    path("queues/<name:name>/", views.queue, name="queue"),
    path("queues/<name:name>/messages/", message_views.queue_messages, name="queue-messages"),
    path("queues/<name:name>/messages/<int:id>/", message_views.message, name="queue-message"),
    path("queues/<name:name>/pause/", queue_views.pause, name="queue-pause"),
    path("queues/<name:name>/resume/", queue_views.resume, name="queue-resume"),
    path("queues/<name:name>/purge/", queue_views.purge, name="queue-purge"),
    path("queues/<name:name>/cancel/", queue_views.cancel, name="queue-cancel"),
    path("queues/<name:name>/redrive/", queue_views.redrive, name="queue-redrive"),
    path("queues/<name:name>/redrives/<int:job>/cancel/", queue_views.cancel_redrive, name="queue-cancel-redrive"),
    path("queues/<name:name>/delete/", queue_views.delete, name="queue-delete"),
    path("periodic/", periodic_views.periodic, name="periodic"),
    path("periodic/<name:name>/pause/", periodic_views.pause, name="periodic-pause"),
    path("periodic/<name:name>/resume/", periodic_views.resume, name="periodic-resume"),
]

endpoints = [
    path("quota/", queue_api.QuotaView.as_view()),
    path("periodic/", periodic_api.PeriodicsView.as_view()),
    path("periodic/<name:periodic>/", periodic_api.PeriodicView.as_view()),
    path("periodic/<name:periodic>/pause/", periodic_api.PausePeriodicView.as_view()),
    path("periodic/<name:periodic>/resume/", periodic_api.ResumePeriodicView.as_view()),
    path("queues/", queue_api.QueuesView.as_view()),
    path("queues/<name:queue>/", queue_api.QueueView.as_view()),
    path("queues/<name:queue>/settings/", queue_api.SettingsView.as_view()),
    path("queues/<name:queue>/pause/", queue_api.PauseView.as_view()),
    path("queues/<name:queue>/resume/", queue_api.ResumeView.as_view()),
    path("queues/<name:queue>/messages/", api.MessagesView.as_view()),
    path("queues/<name:queue>/requests/", reply_api.RequestsView.as_view()),
    path("queues/<name:queue>/requests/<uuid:request_id>/", reply_api.RequestView.as_view()),
    path("queues/<name:queue>/replies/", reply_api.RepliesView.as_view()),
    path("queues/<name:queue>/scheduled/", api.ScheduledView.as_view()),
    path("queues/<name:queue>/cancel/", api.CancelView.as_view()),
    path("queues/<name:queue>/purge/", api.PurgeView.as_view()),
    path("queues/<name:queue>/outcomes/", api.OutcomesView.as_view()),
    path("queues/<name:queue>/leases/", api.LeasesView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/ack/", api.AckView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/nack/", api.NackView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/reject/", api.RejectView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/extend/", api.ExtendView.as_view()),
    path("queues/<name:queue>/leases/<uuid:token>/give-back/", api.GiveBackView.as_view()),
    path("queues/<name:queue>/dead-letters/", letter_api.DeadLettersView.as_view()),
    path("queues/<name:queue>/redrives/", letter_api.RedrivesView.as_view()),
    path("queues/<name:queue>/redrives/<int:job>/", letter_api.RedriveView.as_view()),
    path("queues/<name:queue>/redrives/<int:job>/cancel/", letter_api.CancelRedriveView.as_view()),
]
