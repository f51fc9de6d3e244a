"""What the stack refuses."""


class StackError(Exception):
    """One clear sentence for the person at the terminal; shown without a traceback."""
