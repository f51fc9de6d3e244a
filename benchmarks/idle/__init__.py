"""An app with 50 groups and 50 queues that have nothing to do."""
