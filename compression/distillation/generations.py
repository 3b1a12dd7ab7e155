"""Chains of students: each, once trained, is the teacher of the next.

Teacher assistants: Mirzadeh et al. (2020), https://arxiv.org/abs/1902.03393, nets of
falling size between teacher and student. Born-again networks: Furlanello et al.
(2018), https://arxiv.org/abs/1805.04770, the same net again and again.
"""

from collections.abc import Callable, Iterable, Iterator

import keras


def generations(
    teacher: keras.Model,
    students: Iterable[keras.Model],
    train: Callable[[keras.Model, keras.Model], object],
) -> Iterator[keras.Model]:
    """Train each student with the one before it as teacher, the first with `teacher`.

        assistants = [resnet32, resnet20, small]
        *_, student = generations(resnet110, assistants, distill)
        born_again = ensemble(list(generations(net, again, distill)))

    Args:
        teacher: of the first student.
        students: any number, made as they are asked for where it is a generator.
        train: called with (student, teacher); trains the student in place, as with a
            `Distiller`.

    Yields:
        Each student after its training.
    """
    for student in students:
        train(student, teacher)
        yield student
        teacher = student
