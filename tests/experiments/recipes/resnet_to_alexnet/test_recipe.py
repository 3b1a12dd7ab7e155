"""ResNet to AlexNet: what is compared is comparable."""

import pytest

from experiments.recipes import recipe_module
from experiments.recipes.resnet_to_alexnet import orders

NAMES = ("resnet_to_alexnet", "resnet_to_alexnet_mnist")


def recipe_of(name):
    return recipe_module(name).RECIPE


@pytest.mark.parametrize("name", NAMES)
def test_all_six_orders_take_the_same_steps(name):
    stages = {stage.name: stage for stage in recipe_of(name).stages}
    middle = recipe_module(name).PROTOCOL.middle
    assert len(orders.ORDERS) == 6
    assert sum(n.startswith(orders.PREFIX) for n in stages) == 3 + 6 + 6
    for order in orders.ORDERS:
        way, at = [], f"{orders.PREFIX}{order}"
        while at.startswith(orders.PREFIX):
            way.append(stages[at])
            at = stages[at].start
        assert at == f"alone_{middle}"
        assert len({stage.training for stage in way}) == 1
        assert sorted(type(stage).__name__ for stage in way) == [
            *("Prune", "QuantizeAware", "Train")
        ]
        # The teacher helps in one of the three steps, and zeros stay after theirs.
        assert [s.teaching is not None for s in reversed(way)] == [
            step == "k" for step in order
        ]
        after = order[order.index("p") + 1 :]
        assert all(stages[way[0].name].exports[0].precision == "int8" for _ in after)
        for step, stage in zip(order, reversed(way), strict=True):
            if step != "p":
                assert stage.keep_zeros == (step in after)


@pytest.mark.parametrize("name", NAMES)
def test_the_cut_student_has_the_macs_of_the_narrow_one(name):
    from compression.measure import macs
    from experiments.stages.net import Net

    recipe, protocol = recipe_of(name), recipe_module(name).PROTOCOL
    shape = (32, 32, 3) if recipe.data == "cifar10" else (28, 28, 1)

    def of(width):
        net = recipe.stage(f"alone_{width}").start
        assert isinstance(net, Net)
        import architectures

        options = {"input_shape": shape, "classes": 10, **net.options}
        return macs(architectures.build(net.name, **options))

    wanted = of(protocol.middle) / of(protocol.middle // 2)
    assert recipe.stage("channels").macs == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_those_that_are_compared_see_as_many_images(name):
    recipe, protocol = recipe_of(name), recipe_module(name).PROTOCOL
    widths = [recipe.stage(f"{how}_{w}") for w in (8, 16) for how in ("alone", "soft")]
    methods = [recipe.stage(name) for name in (*protocol.methods, "assisted")]
    assert len({stage.training for stage in widths + methods}) == 1
    again = [recipe.stage(n) for n in ("pruned", "channels", "clustered")]
    assert len({stage.training for stage in again}) == 1
    longer = recipe.stage("longer").training.epochs
    assert longer == widths[0].training.epochs + again[0].training.epochs
    assert recipe.stage("assisted").teaching.teacher == "assistant"
