"""Addresses of bindings."""

from django.urls import path

from bindings import api

endpoints = [
    path("bindings/", api.BindingsView.as_view()),
    path("bindings/<name:binding>/", api.BindingView.as_view()),
]
