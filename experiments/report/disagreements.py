"""Test images that teacher and student classify differently, and their answers."""

import base64
import io
from html import escape

import numpy as np

from experiments.report.folder import Disagreements, Run

ALL_SHOWN = 10  # classes; of more, only those that one of the two finds likely
SHOWN_OF_MANY = 6
SIDE = 96  # pixels on the page


def strip(run: Run) -> str:
    """A card an image, "" where there is none."""
    found = run.disagreements
    if found is None:
        return ""
    names = run.class_names(found.teacher.shape[-1])
    cards = "".join(_card(found, i, names) for i in range(len(found.images)))
    return f'<div class="cards">{cards}</div>'


def png(image: np.ndarray) -> bytes:
    """A (height, width, channels) uint8 image, pixel for pixel."""
    from PIL import Image

    pixels = image if image.shape[-1] in (3, 4) else image[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def shown_classes(teacher: np.ndarray, student: np.ndarray, label: int) -> list[int]:
    """The classes that a card lists, in the order of the labels."""
    if len(teacher) <= ALL_SHOWN:
        return list(range(len(teacher)))
    likely = np.argsort(-np.maximum(teacher, student), kind="stable")
    chosen = {label, int(teacher.argmax()), int(student.argmax())}
    for each in likely:
        if len(chosen) == SHOWN_OF_MANY:
            break
        chosen.add(int(each))
    return sorted(chosen)


def _card(found: Disagreements, at: int, names: list[str]) -> str:
    label = int(found.labels[at])
    teacher, student = found.teacher[at], found.student[at]
    image = found.images[at]
    source = base64.b64encode(png(image)).decode("ascii")
    true, teachers, students = (
        names[i] for i in (label, int(teacher.argmax()), int(student.argmax()))
    )
    where = f"test image {int(found.index[at])}"
    alt = (
        f"{where}, labelled {true}: {found.teacher_stage} answers {teachers}, "
        f"{found.student_stage} answers {students}"
    )
    shape = " crisp" if image.shape[0] < SIDE else ""
    bars = "".join(
        _bars(names[i], teacher[i], student[i], i == label)
        for i in shown_classes(teacher, student, label)
    )
    return (
        f'<figure class="card"><img class="digit{shape}" width="{SIDE}" '
        f'height="{SIDE}" alt="{escape(alt)}" src="data:image/png;base64,{source}">'
        f"<figcaption><small>{where}</small><br>label <b>{escape(true)}</b><br>"
        f'<span class="teacher">{escape(teachers)}</span> → '
        f'<span class="student">{escape(students)}</span></figcaption>'
        f'<div class="bars">{bars}</div></figure>'
    )


def _bars(name, teacher, student, is_label):
    """A class: its name, and the two probabilities as bars one above the other."""
    mark = ' class="label"' if is_label else ""
    widths = [f"{100 * float(p):.1f}" for p in (teacher, student)]
    tip = f"{name}: {widths[0]} % and {widths[1]} %"
    return (
        f'<div{mark}><span>{escape(name)}</span><i title="{escape(tip)}">'
        f'<b class="teacher" style="width:{widths[0]}%"></b>'
        f'<b class="student" style="width:{widths[1]}%"></b></i></div>'
    )
