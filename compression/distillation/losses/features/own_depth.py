"""Self-distillation: heads on the shallower stages learn from the deepest layer.

Zhang et al., "Be Your Own Teacher" (ICCV 2019), https://arxiv.org/abs/1905.08094
"""

import keras
from keras import layers, ops

from compression.arguments import require_number
from compression.distillation.arguments import layer_names, require_classes
from compression.distillation.label_loss import label_cross_entropy
from compression.distillation.losses.batch import Schedule
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.features.hints import hint_loss
from compression.distillation.losses.logit_loss import require_temperature
from compression.distillation.losses.logits.soft_targets import soft_target_loss


@keras.saving.register_keras_serializable("limbeck")
class OwnDepth(FeatureLoss):
    """Heads on stages of the student learn from labels and from its own last layers.

    A head is a 3x3 convolution with ReLU (the paper's bottleneck), averaged over the
    map, then a dense layer to the embedding's size and one to the classes. Each adds
    `(1 - soft_weight) * cross-entropy + soft_weight * soft targets` of the student's
    own logits and `hint_weight * hint_loss` to its embedding, both as constants
    (section 3.2). The heads are no part of the student; no teacher is needed.

    Args:
        student: stages or layers whose outputs are maps.
        temperature: T > 0 of the soft targets.
        soft_weight: 0 to 1 (alpha of the paper).
        hint_weight: at least 0 (lambda of the paper).
        weight: factor of all heads together, at least 0; or a schedule.
        name: name of this part in logs and history.

    Raises:
        ValueError: a number is out of range, or a layer's output is no map.
    """

    needs_classes = True

    def __init__(  # noqa: PLR0913
        self,
        student,
        temperature: float = 3.0,
        soft_weight: float = 0.3,
        hint_weight: float = 0.03,
        weight: float | Schedule = 1.0,
        name: str = "own_depth",
    ):
        stages = layer_names("student", student)
        super().__init__((), (*stages, "embedding", "output"), weight, name)
        for setting, value in {
            "temperature": temperature,
            "soft_weight": soft_weight,
            "hint_weight": hint_weight,
        }.items():
            require_number(setting, value)
        if not 0 <= soft_weight <= 1:
            raise ValueError(f"soft_weight must be from 0 to 1, got {soft_weight}")
        if hint_weight < 0:
            raise ValueError(f"hint_weight must not be negative, got {hint_weight}")
        self.stages = stages
        self.temperature = require_temperature(temperature)
        self.soft_weight = soft_weight
        self.hint_weight = hint_weight

    def prepare(self, teacher_shapes, student_shapes):
        *maps, embedding, logits = student_shapes
        if any(len(shape) != 4 for shape in maps):
            raise ValueError(f"{self.name} needs maps, got {maps} for {self.stages}")
        self.heads = []
        for shape in maps:
            head = [
                layers.Conv2D(
                    shape[-1],
                    3,
                    padding="same",
                    activation="relu",
                    data_format="channels_last",  # whatever Keras is set to
                ),
                layers.GlobalAveragePooling2D(data_format="channels_last"),
                layers.Dense(embedding[-1]),
                layers.Dense(logits[-1]),
            ]
            for layer in head:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self.heads.append(head)

    def values(self, teacher, student, batch):
        if batch.labels is not None:
            require_classes(batch.labels, self.name)
        *maps, embedding, logits = student
        embedding = ops.stop_gradient(embedding)
        if len(embedding.shape) > 2:
            embedding = ops.mean(embedding, axis=tuple(range(1, embedding.ndim - 1)))
        total = 0.0
        for (bottleneck, average, embed, classify), feature in zip(
            self.heads, maps, strict=True
        ):
            own = embed(average(bottleneck(feature)))
            own_logits = classify(own)
            soft = soft_target_loss(
                ops.stop_gradient(logits), own_logits, temperature=self.temperature
            )
            total = total + self.soft_weight * soft
            total = total + self.hint_weight * hint_loss(embedding, own)
            if batch.labels is not None:
                label = label_cross_entropy(batch.labels, own_logits)
                total = total + (1 - self.soft_weight) * label
        return total

    def get_config(self):
        config = super().get_config()
        del config["teacher"]
        return config | {
            "student": list(self.stages),
            "temperature": self.temperature,
            "soft_weight": self.soft_weight,
            "hint_weight": self.hint_weight,
        }
