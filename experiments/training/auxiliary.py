"""Auxiliary heads in training: Szegedy et al. (2015), section 5.

"Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842. Heads on layers in
the middle of a net learn the labels, too, and are thrown away afterwards.
"""

import keras

LOGITS = "logits"  # the output that stays


class AuxiliaryHeads(keras.Model):
    """Trains a net with heads; it is evaluated by its `logits` alone.

    The loss is that of the logits plus `weight` times that of every head. The loss
    given to `compile` is of (labels, logits) and serves for all of them.

    Args:
        net: whose output is a dict, `logits` and those of the heads.
        weight: of each head's loss; the paper's is 0.3.

    Raises:
        ValueError: the net has no such heads.
    """

    def __init__(self, net: keras.Model, weight: float, **kwargs):
        super().__init__(**kwargs)
        outputs = net.output
        if not isinstance(outputs, dict) or outputs.keys() <= {LOGITS}:
            raise ValueError(f"{net.name} has no auxiliary heads")
        self.net = net
        self.weight = weight

    def call(self, images, training=None):
        outputs = self.net(images, training=training)
        return outputs if training else outputs[LOGITS]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        heads = dict(y_pred)
        logits = heads.pop(LOGITS)
        total = super().compute_loss(x, y, logits, sample_weight, training)
        for head in heads.values():
            total = total + self.weight * self.loss(y, head, sample_weight)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logits = y_pred[LOGITS] if isinstance(y_pred, dict) else y_pred
        return super().compute_metrics(x, y, logits, sample_weight)
