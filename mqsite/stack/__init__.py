"""What `bin/up` and the tests stand on: real servers and child processes. Knows nothing of Django."""
