"""What every sampler promises, whoever wrote it."""

from builders import a_target
from kerntune.spaces import Space, choice, int_range, pow2
from kerntune.tuner.samplers import make_sampler


def a_space():
    """48 configs with a conditional parameter and an unordered one."""
    space = Space("s")
    m, kind = space.add(pow2("M", 16, 128), choice("KIND", "a", "b", "c"))
    split = space.add(choice("SPLIT", 1, 2))
    space.when(split > 1, space.add(choice("REDUCE", "atomic", "workspace", "serial")))
    space.require((m > 16) | (kind == "a"), "small tiles are of kind a")
    return space.on(None, a_target("cpu"))


class SamplerContract:
    """Subclass with `name`."""

    name: str

    def sampler(self, seed=0):
        feasible = a_space()
        return feasible, make_sampler(self.name, feasible, seed)

    def test_it_gives_every_feasible_config_once_and_then_none(self):
        """Never an infeasible row, never one twice, and an end."""
        feasible, sampler = self.sampler()
        rows = []
        while (row := sampler.ask()) is not None:
            rows.append(row)
            sampler.tell(row, 1.0 + row)
        assert sorted(rows) == list(range(len(feasible)))

    def test_it_is_pure_given_its_seed(self):
        """The same seed and the same answers give the same choices."""

        def choices(seed):
            _, sampler = self.sampler(seed)
            picked = []
            for _ in range(25):
                picked.append(sampler.ask())
                sampler.tell(picked[-1], None if picked[-1] % 5 == 0 else 1.0 + picked[-1])
            return picked

        assert choices(3) == choices(3)
        assert choices(3) != choices(4)

    def test_a_claimed_or_told_row_is_not_given_again(self):
        """Seeds and what is known from before are not measured twice."""
        feasible, sampler = self.sampler()
        assert sampler.claim(5)
        assert not sampler.claim(5)
        sampler.tell(7, 2.0)
        sampler.tell(9, None)
        rows = [sampler.ask() for _ in range(len(feasible) - 3)]
        assert not {5, 7, 9} & set(rows)
        assert sampler.ask() is None

    def test_a_space_too_large_to_list_is_searched_too(self):
        """Of 10^18 configs it gives feasible ones, each once."""
        space = Space("large")
        symbols = space.add(*(int_range(f"x{place}", 0, 9) for place in range(18)))
        space.require((symbols[0] + symbols[1]) % 2 == 0, "the first two agree")
        feasible = space.on()
        sampler = make_sampler(self.name, feasible, 0)
        assert sampler.claim(10**17)
        rows = []
        for _ in range(30):
            rows.append(sampler.ask())
            sampler.tell(rows[-1], 1.0 + sum(feasible[rows[-1]].values()))
        assert len({10**17, *rows}) == 31
        assert all((feasible[row]["x0"] + feasible[row]["x1"]) % 2 == 0 for row in rows)

    def test_several_rows_may_be_open_at_once(self):
        """Compilers are kept busy while nothing is told yet."""
        _, sampler = self.sampler()
        assert len({sampler.ask() for _ in range(16)}) == 16
