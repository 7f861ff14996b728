"""A sampler that keeps the rules of the port, and mutants of it that break one each."""

import random

import numpy as np


class Honest:
    """Unseen rows by chance: the least that a sampler of another package has to do."""

    def __init__(self, feasible, seed):
        self.total, self.seen = feasible.total, set()
        self.rng = np.random.default_rng(seed)
        self.started()

    def started(self):
        pass

    def ask(self):
        if len(self.seen) == self.total:
            return None
        while (row := self.draw()) in self.seen:
            pass
        self.seen.add(row)
        return row

    def draw(self):
        return int(self.rng.integers(self.total))

    def claim(self, row):
        if row in self.seen:
            return False
        self.seen.add(row)
        return True

    def tell(self, row, median_us):
        self.seen.add(row)


class Repeats(Honest):
    """Now and then it proposes a row again."""

    def ask(self):
        row = super().ask()
        return 0 if 0 in self.seen and len(self.seen) == 20 else row


class OutOfRange(Honest):
    """It counts rows from 1."""

    def ask(self):
        row = super().ask()
        return None if row is None else row + 1

    def tell(self, row, median_us):
        super().tell(row - 1, median_us)


class Negative(Honest):
    """It counts from the end, as Python's sequences do."""

    def ask(self):
        row = super().ask()
        return None if row is None else row - self.total


class GivesConfigs(Honest):
    """It answers with the config in place of its row."""

    def __init__(self, feasible, seed):
        super().__init__(feasible, seed)
        self.feasible = feasible

    def ask(self):
        row = super().ask()
        return None if row is None else self.feasible[row]


class StopsEarly(Honest):
    """It has enough when a quarter is left."""

    def ask(self):
        return None if len(self.seen) > 3 * self.total // 4 else super().ask()


class NeverEnds(Honest):
    """It begins anew when all is seen."""

    def ask(self):
        return super().ask() if len(self.seen) < self.total else 0


class GlobalRandom(Honest):
    """It seeds the generator that the whole program shares."""

    def started(self):
        random.seed(int(self.rng.integers(1000)))

    def draw(self):
        return random.randrange(self.total)


class NumpyGlobalRandom(Honest):
    """The same with NumPy's."""

    def started(self):
        np.random.seed(int(self.rng.integers(1000)))

    def draw(self):
        return int(np.random.randint(self.total, dtype=np.int64))


class Unseeded(Honest):
    """It takes its seed from the system."""

    def started(self):
        self.rng = np.random.default_rng()


class Shared(Honest):
    """All samplers of its class have one generator."""

    one = np.random.default_rng(0)

    def draw(self):
        return int(Shared.one.integers(self.total))


class Deaf(Honest):
    """The seed is not heard."""

    def started(self):
        self.rng = np.random.default_rng(1)


class IgnoresClaims(Honest):
    """It says yes to a claim, and forgets it."""

    def claim(self, row):
        return row not in self.seen


class ClaimsAnything(Honest):
    """It grants what was given before."""

    def claim(self, row):
        self.seen.add(row)
        return True


class IgnoresWhatIsKnown(Honest):
    """Only rows of its own choice count."""

    def tell(self, row, median_us):
        pass


class DiesOfFailures(Honest):
    """It takes the logarithm of what it is told."""

    def tell(self, row, median_us):
        super().tell(row, median_us)
        float(np.log(median_us))


class DiesWithoutSuccess(Honest):
    """It looks for the best where nothing ran."""

    def started(self):
        self.times = {}

    def tell(self, row, median_us):
        super().tell(row, median_us)
        self.times[row] = median_us
        if len(self.times) > 8:
            min(us for us in self.times.values() if us is not None)


class DividesBySpread(Honest):
    """It scales times by their range."""

    def started(self):
        self.times = []

    def tell(self, row, median_us):
        super().tell(row, median_us)
        self.times += [median_us] if median_us is not None else []
        if len(self.times) > 2:
            1 / (max(self.times) - min(self.times))


class OneOpenRow(Honest):
    """It waits for a result before it chooses again."""

    def started(self):
        self.open = None

    def ask(self):
        if self.open is None:
            self.open = super().ask()
            return self.open
        return self.open

    def tell(self, row, median_us):
        super().tell(row, median_us)
        self.open = None


class Lists(Honest):
    """It makes a list of the whole space."""

    def __init__(self, feasible, seed):
        super().__init__(feasible, seed)
        self.table = feasible.matrix()


class Slow(Honest):
    """It goes through the space again and again at every ask."""

    def draw(self):
        if self.total > 10_000:
            sum(range(500_000))
        return super().draw()
