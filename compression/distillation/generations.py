"""Chains of students: each, once trained, is the teacher of the next.

Teacher assistants: Mirzadeh et al. (2020), https://arxiv.org/abs/1902.03393, nets of
falling size between teacher and student. Born-again networks: Furlanello et al.
(2018), https://arxiv.org/abs/1805.04770, the same net again and again.
"""

from collections.abc import Callable, Iterable, Iterator

import keras

from compression.arguments import shown
from compression.distillation.arguments import require_function, require_model


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

    Returns:
        An iterator that gives each student after its training.

    Raises:
        ValueError: a net is no Keras model (of a student: when it is asked for), or
            `train` cannot be called.
    """
    require_model(teacher, "teacher")
    if isinstance(students, keras.Model | str) or not isinstance(students, Iterable):
        raise ValueError(f"students must be a list of models, got {shown(students)}")
    require_function("train", train, "(student, teacher)")
    return _trained(teacher, students, train)


def _trained(teacher, students, train):
    for at, student in enumerate(students):
        require_model(student, f"students[{at}]")
        train(student, teacher)
        yield student
        teacher = student
