"""The papers' losses between logits once more: float64, an example at a time."""

import math

import numpy as np


def softmax(logits, temperature):
    powers = [math.exp(logit / temperature) for logit in logits]
    return np.array([power / sum(powers) for power in powers])


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def standardized(teacher, student, temperature):
    """Algorithms 1 and 2 of Sun et al."""
    losses = []
    for pair in zip(teacher, student, strict=True):
        z = [(logits - logits.mean()) / logits.std() for logits in pair]
        p, q = (softmax(logits, temperature) for logits in z)
        losses.append(temperature**2 * kl(p, q))
    return np.array(losses)


def decoupled(teacher, student, labels, temperature):
    """TCKD and NCKD of Zhao et al., section 3.1, each times T^2."""
    target, non_target = [], []
    for t, s, label in zip(teacher, student, labels, strict=True):
        p, q = softmax(t, temperature), softmax(s, temperature)
        target.append(kl([p[label], 1 - p[label]], [q[label], 1 - q[label]]))
        rest = [i for i in range(len(t)) if i != label]
        p, q = (x[rest] / sum(x[rest]) for x in (p, q))
        non_target.append(kl(p, q))
    return temperature**2 * np.array([target, non_target])


def class_relations(teacher, student, temperature):
    """Inter and intra losses of Huang et al., each times T^2."""
    p = np.array([softmax(logits, temperature) for logits in teacher])
    q = np.array([softmax(logits, temperature) for logits in student])
    inter = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)]
    intra = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)]
    each = np.full(len(p), sum(intra) / len(intra))
    return temperature**2 * np.array([inter, each])


def regression(teacher, student):
    return np.array(
        [
            sum((a - b) ** 2 for a, b in zip(t, s, strict=True)) / len(t)
            for t, s in zip(teacher, student, strict=True)
        ]
    )
