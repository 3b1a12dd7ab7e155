"""Cards of the images that teacher and student classify differently."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from experiments.report import disagreements
from experiments.report.folder import read


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_kept_pixel_for_pixel(make_run, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 8, channels), dtype=np.uint8)
    strip = disagreements.strip(read(make_run(images=images)))
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', strip)
    assert len(sources) == 3
    for source, image in zip(sources, images, strict=True):
        decoded = Image.open(io.BytesIO(base64.b64decode(source)))
        np.testing.assert_array_equal(
            np.asarray(decoded).reshape(8, 8, channels), image
        )


def test_cards_name_label_and_both_answers(make_run):
    names = [f"digit{i}" for i in range(10)]
    strip = disagreements.strip(read(make_run(class_names=names)))
    alt = (
        "test image 7, labelled digit1: teacher answers digit1, distill answers digit2"
    )
    assert f'alt="{alt}"' in strip
    assert strip.count('<div class="label">') == 2
    assert 'title="digit1: 80.0 % and 2.2 %"' in strip  # 0.2 / 9


def test_of_many_classes_the_likely_ones_are_shown():
    teacher = np.zeros(100)
    teacher[[3, 50]] = 0.6, 0.4
    student = np.zeros(100)
    student[[7, 8, 9]] = 0.5, 0.3, 0.2
    shown = disagreements.shown_classes(teacher, student, label=99)
    assert shown == [3, 7, 8, 9, 50, 99]
