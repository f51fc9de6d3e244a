"""Settings. Everything that differs between machines comes from the environment.

`bin/up` writes `.mqsite/env.json` with the addresses of the servers it started;
it is read here for what the environment leaves unset, so `manage.py shell` finds
the running house.
"""

import json
import os
from pathlib import Path
from typing import Any

import dj_database_url
from celery.schedules import schedule
from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent

_env_file = BASE_DIR / ".mqsite" / "env.json"
_house: dict[str, str] = json.loads(_env_file.read_text()) if _env_file.exists() else {}


def env(name: str, default: str = "") -> str:
    """One environment variable, else what `bin/up` noted down, else the default."""
    return os.environ.get(name) or _house.get(name) or default


def flag(name: str) -> bool:
    return env(name).lower() in {"1", "true", "yes", "on"}


DEBUG = flag("MQSITE_DEBUG")
SECRET_KEY = env("MQSITE_SECRET_KEY", "unset: development only" if DEBUG else "")
ALLOWED_HOSTS = env("MQSITE_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in env("MQSITE_TRUSTED_ORIGINS").split(",") if o]

# The overview may be seen without a login, and without payloads, only where bin/up
# runs the house on loopback.
MQSITE_OPEN_OVERVIEW = flag("MQSITE_OPEN_OVERVIEW")

INSTALLED_APPS = [
    "mqsite",
    "logs",
    "queues",
    "bindings",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels",
    "csp",
    *(app for app in env("MQSITE_APPS").split(",") if app),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "mqsite.middleware.carry_trace",
]

ROOT_URLCONF = "mqsite.urls"
WSGI_APPLICATION = "mqsite.wsgi.application"
ASGI_APPLICATION = "mqsite.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        env("DATABASE_URL", "postgresql://mqsite@127.0.0.1:5432/mqsite"),
        conn_max_age=600,
        conn_health_checks=True,
    )
}
# The hot statements are prepared, nothing else. PgBouncer before 1.21 cannot do that in transaction mode.
if env("MQSITE_PREPARED_STATEMENTS", "1") != "0":
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 2**31 - 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("REDIS_URL", "redis://127.0.0.1:6379/0")
MQSITE_PREFIX = env("MQSITE_PREFIX", "mqsite")  # of every key and channel in Redis or Valkey

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": MQSITE_PREFIX},
    }
}

MQSITE_CELERY = env("MQSITE_CELERY", "1") != "0"  # 0: no Celery worker runs, so none is woken

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{MQSITE_PREFIX}:",
    # Nudges are not kept until they are acknowledged: the sweep finds what one that was lost was about. And a worker
    # that acknowledges at a broker that died meanwhile ends with an AttributeError (kombu 5.7.0).
    "ack_emulation": False,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any outage of the broker
CELERY_TASK_PUBLISH_RETRY = False  # a nudge is a hint: a publisher never waits for the broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "consume"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = 1000  # a new connection for each task would double the latency
CELERY_BEAT_SCHEDULE = {
    "sweep-logs": {"task": "logs.tasks.sweep", "schedule": schedule(10)},
    "sweep-queues": {"task": "queues.tasks.sweep", "schedule": schedule(10)},
}

# How many requests a web process works on at once. Half of them may be readers that wait for records.
MQSITE_HTTP_THREADS = int(env("MQSITE_HTTP_THREADS", "32"))

# All by the database's clock. A holder that is silent for member_seconds loses what it holds.
MQSITE_HEARTBEAT_SECONDS = float(env("MQSITE_HEARTBEAT_SECONDS", "3"))
MQSITE_MEMBER_SECONDS = float(env("MQSITE_MEMBER_SECONDS", "9"))
MQSITE_SWEEP_SECONDS = float(env("MQSITE_SWEEP_SECONDS", "4"))
# A consumer and its database give each other up after so long without a sign, so that a cut network frees what
# was locked. 0: as the system has it, which may be hours.
MQSITE_CUT_SECONDS = float(env("MQSITE_CUT_SECONDS", "7"))

# How long a producer's id is remembered at least: publishing it again answers the original offset.
MQSITE_PRODUCER_ID_SECONDS = float(env("MQSITE_PRODUCER_ID_SECONDS", "86400"))

# A segment is emptied only so long after its topic has left it: longer than a dump takes to lock its tables.
MQSITE_SEGMENT_QUIET_SECONDS = float(env("MQSITE_SEGMENT_QUIET_SECONDS", "60"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mqsite.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mqsite.parsers.ExactJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "mqsite.exceptions.handle_exception",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = DEBUG or flag("MQSITE_SERVE_STATIC_UNCOLLECTED")

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "overview"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {"default-src": [SELF], "object-src": [NONE], "frame-ancestors": [NONE], "base-uri": [SELF]}
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # While Redis or Valkey is away its receive loop writes a traceback a second; the pages say so themselves.
    "loggers": {"channels_redis.pubsub": {"level": "CRITICAL"}},
    "root": {"handlers": ["stderr"], "level": env("MQSITE_LOG_LEVEL", "INFO")},
}
