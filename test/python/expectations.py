"""What a check expects of an answer."""

from varve_client import VarveError


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def fails_with(reason, act):
    """The VarveError that `act` fails with."""
    try:
        answer = act()
    except VarveError as error:
        equal(error.reason, reason)
        return error
    raise AssertionError(f"no {reason}, but {answer!r}")
