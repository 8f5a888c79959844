"""What is said of what cannot be."""

import pytest


def refusal(cause, kind=ValueError):
    """The whole text of the error that a call ends with."""
    with pytest.raises(kind, match=r".") as error:
        cause()
    return str(error.value)
