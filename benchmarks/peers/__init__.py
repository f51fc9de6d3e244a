"""Other queues, each in a process of its own with the Python of .venv-benchmarks. They know nothing of ours."""
