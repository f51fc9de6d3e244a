"""Pages and API of the log."""

from django.urls import path

from logs import api, group_api, group_views, parked_api, parked_views, views

pages = [
    path("topics/", views.topics, name="topics"),
    path("topics/<name:name>/", views.topic, name="topic"),
    path("groups/", views.groups, name="groups"),
    path("groups/<name:name>/", views.group, name="group"),
    path("groups/<name:name>/reset/", group_views.reset, name="group-reset"),
    path("groups/<name:name>/resets/<int:reset_id>/undo/", group_views.undo, name="group-undo"),
    path("groups/<name:name>/pause/", group_views.pause, name="group-pause"),
    path("groups/<name:name>/resume/", group_views.resume, name="group-resume"),
    path("groups/<name:name>/parked/", parked_views.parked, name="group-parked"),
    path("groups/<name:name>/parked/retry/", parked_views.retry, name="group-parked-retry"),
    path("groups/<name:name>/parked/drop/", parked_views.drop, name="group-parked-drop"),
]

endpoints = [
    path("topics/", api.TopicsView.as_view()),
    path("topics/<name:topic>/", api.TopicView.as_view()),
    path("topics/<name:topic>/configs/", api.ConfigsView.as_view()),
    path("topics/<name:topic>/offsets/", api.TopicOffsetsView.as_view()),
    path("topics/<name:topic>/delete-records/", api.DeleteRecordsView.as_view()),
    path("topics/<name:topic>/erase-key/", api.EraseKeyView.as_view()),
    path("topics/<name:topic>/records-by-key/", api.KeyRecordsView.as_view()),
    path("topics/<name:topic>/records/", api.RecordsView.as_view()),
    path("topics/<name:topic>/partitions/<int:partition>/offsets/", api.PartitionOffsetsView.as_view()),
    path("topics/<name:topic>/partitions/<int:partition>/records/", api.PartitionRecordsView.as_view()),
    path("groups/", group_api.GroupsView.as_view()),
    path("groups/<name:group>/", group_api.GroupView.as_view()),
    path("groups/<name:group>/subscriptions/", group_api.SubscriptionsView.as_view()),
    path("groups/<name:group>/topics/<name:topic>/", group_api.GroupTopicView.as_view()),
    path("groups/<name:group>/pause/", group_api.PauseView.as_view()),
    path("groups/<name:group>/resume/", group_api.ResumeView.as_view()),
    path("groups/<name:group>/lag/", group_api.LagView.as_view()),
    path("groups/<name:group>/members/", group_api.MembersView.as_view()),
    path("groups/<name:group>/members/<name:member>/", group_api.MemberView.as_view()),
    path("groups/<name:group>/members/<name:member>/heartbeat/", group_api.HeartbeatView.as_view()),
    path("groups/<name:group>/members/<name:member>/records/", group_api.MemberRecordsView.as_view()),
    path("groups/<name:group>/assignments/", group_api.AssignmentsView.as_view()),
    path("groups/<name:group>/offsets/", group_api.OffsetsView.as_view()),
    path("groups/<name:group>/reset-offsets/", group_api.ResetOffsetsView.as_view()),
    path("groups/<name:group>/parked/", parked_api.ParkedView.as_view()),
    path("groups/<name:group>/parked/retry/", parked_api.RetryParkedView.as_view()),
    path("groups/<name:group>/parked/drop/", parked_api.DropParkedView.as_view()),
    path("groups/<name:group>/resets/", group_api.ResetsView.as_view()),
    path("groups/<name:group>/resets/<int:reset>/undo/", group_api.UndoView.as_view()),
]
