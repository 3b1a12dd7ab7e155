"""P, K and Q in every order: what the protocol and its tables share."""

from itertools import permutations

STEPS = {"p": "prune", "k": "distil", "q": "quantize"}
ORDERS = tuple("".join(order) for order in permutations(STEPS))
PREFIX = "order_"


def begun() -> list[str]:
    """All orders and their beginnings, those first with which others begin."""
    cut = (order[:length] for order in ORDERS for length in range(1, len(STEPS) + 1))
    return list(dict.fromkeys(cut))


def in_words(order: str) -> str:
    """ "pk" -> "prune, distil"."""
    return ", ".join(STEPS[step] for step in order)
