"""Pages and API of the log."""

from django.urls import path

from logs import api, views

pages = [
    path("topics/", views.topics, name="topics"),
    path("topics/<str:name>/", views.topic, name="topic"),
    path("groups/", views.groups, name="groups"),
    path("groups/<str:name>/", views.group, name="group"),
]

endpoints = [
    path("topics/", api.TopicsView.as_view()),
    path("topics/<str:topic>/", api.TopicView.as_view()),
    path("topics/<str:topic>/configs/", api.ConfigsView.as_view()),
    path("topics/<str:topic>/offsets/", api.TopicOffsetsView.as_view()),
    path("topics/<str:topic>/delete-records/", api.DeleteRecordsView.as_view()),
    path("topics/<str:topic>/erase-key/", api.EraseKeyView.as_view()),
    path("topics/<str:topic>/records-by-key/", api.KeyRecordsView.as_view()),
    path("topics/<str:topic>/records/", api.RecordsView.as_view()),
    path("topics/<str:topic>/partitions/<int:partition>/offsets/", api.PartitionOffsetsView.as_view()),
    path("topics/<str:topic>/partitions/<int:partition>/records/", api.PartitionRecordsView.as_view()),
    path("groups/", api.GroupsView.as_view()),
    path("groups/<str:group>/", api.GroupView.as_view()),
    path("groups/<str:group>/assignments/", api.AssignmentsView.as_view()),
    path("groups/<str:group>/offsets/", api.OffsetsView.as_view()),
    path("groups/<str:group>/reset-offsets/", api.ResetView.as_view()),
]
