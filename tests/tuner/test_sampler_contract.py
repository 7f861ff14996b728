"""The contract suite finds the samplers that break it: each mutant breaks one rule of a sampler that keeps them all."""

from pathlib import Path

import pytest
from broken_samplers import (
    ClaimsAnything,
    Deaf,
    DiesOfFailures,
    DiesWithoutSuccess,
    DividesBySpread,
    GivesConfigs,
    GlobalRandom,
    Honest,
    IgnoresClaims,
    IgnoresWhatIsKnown,
    Lists,
    Negative,
    NeverEnds,
    NumpyGlobalRandom,
    OneOpenRow,
    OutOfRange,
    Repeats,
    Shared,
    Slow,
    StopsEarly,
    Unseeded,
)
from kerntune.tuner.samplers.contract import SamplerContract

RULES = sorted(name for name in dir(SamplerContract) if name.startswith("test_"))


MUTANTS = {
    Repeats: ("test_it_gives_every_feasible_config_once_and_then_none", "was proposed .* before. A row is given once"),
    OutOfRange: ("test_it_gives_every_feasible_config_once_and_then_none", "gave row .* Rows are 0 … "),
    Negative: ("test_it_gives_every_feasible_config_once_and_then_none", r"gave row -\d+"),
    GivesConfigs: ("test_it_gives_every_feasible_config_once_and_then_none", "A row is an integer"),
    StopsEarly: ("test_it_gives_every_feasible_config_once_and_then_none", r"gave None though \d+ rows are unseen"),
    NeverEnds: ("test_it_gives_every_feasible_config_once_and_then_none", "gave row 0 when every row was seen"),
    GlobalRandom: ("test_it_is_pure_given_its_seed", "Draw from a generator of the sampler's own"),
    NumpyGlobalRandom: ("test_it_is_pure_given_its_seed", "Draw from a generator of the sampler's own"),
    Unseeded: ("test_it_is_pure_given_its_seed", "Draw from a generator of the sampler's own"),
    Shared: ("test_it_is_pure_given_its_seed", "share no state between samplers"),
    Deaf: ("test_another_seed_gives_other_choices", "the same whatever the seed"),
    IgnoresClaims: ("test_a_claimed_row_is_not_given_again", r"claim\(row 5 .*False is right: it was claimed before"),
    ClaimsAnything: ("test_a_claimed_row_is_not_given_again", r"claim\(row .* gave True; False is right"),
    IgnoresWhatIsKnown: ("test_a_told_row_is_not_given_again", "its result was told before"),
    DiesOfFailures: ("test_it_reaches_the_end_when_everything_fails", "NoneType"),
    DiesWithoutSuccess: ("test_it_reaches_the_end_when_everything_fails", "empty"),
    DividesBySpread: ("test_it_reaches_the_end_when_all_times_are_the_same", "division by zero"),
    OneOpenRow: ("test_several_rows_may_be_open_at_once", "was proposed .* before"),
    Lists: ("test_a_space_too_large_to_list_is_searched_too", "make a list of more than"),
    Slow: ("test_an_ask_takes_a_bounded_time", "of processor time on the mean of 60"),
}


def contract_of(kind, **attributes):
    """The suite for a class of this file."""
    made = {"make": lambda self, feasible, seed: kind(feasible, seed)}
    return type(f"Test{kind.__name__}", (SamplerContract,), made | attributes)()


@pytest.mark.parametrize("rule", RULES)
def test_a_sampler_that_keeps_the_rules_passes(rule):
    """Without a name of its own, made by `make`."""
    getattr(contract_of(Honest), rule)()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_mutant_is_caught(mutant):
    """By the rule that it breaks, in words that name the rule, the seed and the row."""
    rule, words = MUTANTS[mutant]
    contract = contract_of(mutant, most_cpu_s_per_trial=0.003)
    with pytest.raises(Exception, match=words):
        getattr(contract, rule)()


def test_a_broken_rule_is_told_with_sampler_seed_space_and_config():
    """All that is needed to see it again."""
    with pytest.raises(AssertionError) as told:
        contract_of(Repeats).test_it_gives_every_feasible_config_once_and_then_none()
    expected = 'sampler "TestRepeats", seed 0, space conditional (40 configs): gave row 0 (M=16 KIND=a SPLIT=1), which'
    assert str(told.value).startswith(expected)


def test_choices_that_hang_on_the_hash_of_a_string_are_caught(tmp_path, monkeypatch):
    """A sampler found by its entry point is run in processes of other hash seeds."""
    (tmp_path / "hashing.py").write_text(
        "class Hashing:\n"
        "    def __init__(self, feasible, seed):\n"
        "        self.rows = [row for _, row in sorted((hash(f'{row}'), row) for row in range(feasible.total))]\n"
        "    def ask(self): return self.rows.pop() if self.rows else None\n"
        "    def claim(self, row): return row in self.rows and self.rows.remove(row) is None\n"
        "    def tell(self, row, median_us): self.claim(row)\n"
    )
    installed = tmp_path / "hashing-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: hashing\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[kerntune.samplers]\nhashing = hashing:Hashing\n")
    monkeypatch.syspath_prepend(tmp_path)
    contract = contract_of(Honest, name="hashing")
    with pytest.raises(AssertionError, match=r'sampler "hashing", seed 3: .* PYTHONHASHSEED differs'):
        contract.test_it_is_pure_across_processes()


def test_the_sampler_of_the_documentation_keeps_the_contract():
    """docs/samplers.md shows it whole."""
    text = (Path(__file__).parents[2] / "docs" / "samplers.md").read_text()
    names = {}
    exec(text.split("```python\n")[1].partition("```")[0], names)
    for rule in RULES:
        getattr(contract_of(names["BesideTheBest"]), rule)()
