"""The HTTP side."""

import os

from django.core.wsgi import get_wsgi_application

from mqsite.memory import freeze_startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mqsite.settings")
application = get_wsgi_application()
freeze_startup()
