"""The papers' losses between features once more: float64, in loops, per example."""

import math
from itertools import permutations, product

import numpy as np


def cosine(a, b):
    size = math.sqrt((a @ a) * (b @ b))
    return a @ b / size if size else 0.0


def rows(features):
    return [np.ravel(f).astype("float64") for f in features]


def mean_over(table):
    return np.array([np.mean(row) for row in table])


def attention(teacher, student):
    """Zagoruyko & Komodakis, section 3.1."""

    def q(maps):
        energies = sum(maps[..., c] ** 2 for c in range(maps.shape[-1])).ravel()
        return energies / math.sqrt(sum(energies**2))

    return np.array(
        [np.mean((q(t) - q(s)) ** 2) for t, s in zip(teacher, student, strict=True)]
    )


def selectivity(teacher, student, kernel="polynomial"):
    """Huang & Wang: squared maximum mean discrepancy."""
    losses = []
    for t, s in zip(teacher, student, strict=True):
        nets = []
        for maps in (t, s):
            channels = [maps[..., c].ravel() for c in range(maps.shape[-1])]
            nets.append([c / math.sqrt(c @ c) for c in channels])
        everyone = nets[0] + nets[1]
        spread = np.mean([(a - b) @ (a - b) for a, b in product(everyone, repeat=2)])
        k = {
            "polynomial": lambda a, b: (a @ b) ** 2,
            "linear": lambda a, b: a @ b,
            "gaussian": lambda a, b, v=spread: math.exp(-(a - b) @ (a - b) / (2 * v)),
        }[kernel]
        tt, ss, ts = (
            np.mean([k(a, b) for a, b in product(one, other)])
            for one, other in ((nets[0], nets[0]), (nets[1], nets[1]), nets)
        )
        losses.append(tt + ss - 2 * ts)
    return np.array(losses)


def similarity(teacher, student):
    """Tung & Mori, equations 2 to 4."""

    def g(features):
        table = [[a @ b for b in rows(features)] for a in rows(features)]
        return [row / np.linalg.norm(row) for row in np.array(table)]

    return mean_over((np.array(g(teacher)) - np.array(g(student))) ** 2)


def huber(a, b):
    d = abs(a - b)
    return d * d / 2 if d <= 1 else d - 0.5


def relational_distance(teacher, student):
    """Park et al., section 3.2.1; mean in place of the sum."""

    def psi(features):
        pairs = list(permutations(range(len(features)), 2))
        x = rows(features)
        distance = {(i, j): np.linalg.norm(x[i] - x[j]) for i, j in pairs}
        mean = sum(distance.values()) / len(pairs)
        return {pair: d / mean for pair, d in distance.items()}

    t, s = psi(teacher), psi(student)
    return np.array(
        [
            np.mean([huber(t[pair], s[pair]) for pair in t if pair[0] == i])
            for i in range(len(teacher))
        ]
    )


def relational_angle(teacher, student):
    """Park et al., section 3.2.2; mean in place of the sum."""

    def psi(features, i, j, k):
        x = rows(features)
        return cosine(x[i] - x[j], x[k] - x[j])

    losses = [[] for _ in teacher]
    for i, j, k in permutations(range(len(teacher)), 3):
        losses[j].append(huber(psi(teacher, i, j, k), psi(student, i, j, k)))
    return mean_over(losses)


def probabilistic(teacher, student):
    """Passalis & Tefas, section 3; mean over the examples, no sum."""

    def neighbours(features, i):
        x = rows(features)
        k = [(cosine(x[i], b) + 1) / 2 for b in x[:i] + x[i + 1 :]]
        return np.array(k) / sum(k)

    losses = []
    for i in range(len(teacher)):
        p, q = neighbours(teacher, i), neighbours(student, i)
        losses.append(sum(p * np.log(p / q)))
    return np.array(losses)


def congruence(teacher, student, gamma=0.4, order=2):
    """Peng et al.: Taylor series of the Gaussian kernel, mean squared difference."""

    def k(a, b):
        terms = [(2 * gamma * cosine(a, b)) ** p / math.factorial(p) for p in range(9)]
        return math.exp(-2 * gamma) * sum(terms[: order + 1])

    t, s = rows(teacher), rows(student)
    everyone = range(len(t))
    return mean_over(
        [[(k(t[i], t[j]) - k(s[i], s[j])) ** 2 for j in everyone] for i in everyone]
    )
