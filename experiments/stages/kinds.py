"""Every kind of stage that there is, by the name that it has in a record."""

from experiments.stages.base import Stage
from experiments.stages.channels import Channels
from experiments.stages.choose_weight import ChooseWeight
from experiments.stages.cluster import Cluster
from experiments.stages.correct_bias import CorrectBias
from experiments.stages.distill import Distill
from experiments.stages.dynamic_surgery import DynamicSurgery
from experiments.stages.learn_sparsity import LearnSparsity
from experiments.stages.load import Load
from experiments.stages.mixed_precision import MixedPrecision
from experiments.stages.pretrain import Pretrain
from experiments.stages.probe import Probe
from experiments.stages.prune import Prune
from experiments.stages.quantize import Quantize
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.rate_distortion import RateDistortion
from experiments.stages.rigl import RigL
from experiments.stages.sparse_channels import SparseChannels
from experiments.stages.tfmot import TfmotCluster, TfmotPrune, TfmotQuantize
from experiments.stages.ticket import Ticket
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer

# One more kind of stage is one more name here.
KINDS: dict[str, type[Stage]] = {
    kind.__name__: kind
    for kind in (
        *(Load, Train, Pretrain, Transfer, Distill, ChooseWeight, Probe),
        *(Prune, RigL, DynamicSurgery, LearnSparsity, Ticket, TfmotPrune),
        *(Channels, SparseChannels, Cluster, TfmotCluster, RateDistortion),
        *(Quantize, QuantizeAware, TfmotQuantize, MixedPrecision, CorrectBias),
    )
}
