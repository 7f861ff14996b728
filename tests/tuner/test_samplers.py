"""The samplers, each against the contract."""

import pytest
from contracts.sampler_contract import SamplerContract
from kerntune.spaces.errors import UnknownName
from kerntune.tuner.samplers import check_name


class TestRandom(SamplerContract):
    name = "random"


class TestTpe(SamplerContract):
    name = "tpe"


def test_an_unknown_sampler_lists_the_known_ones():
    """The style guide's own example."""
    with pytest.raises(UnknownName, match=r'"bayes" is not a sampler. Known: random, tpe'):
        check_name("bayes")
