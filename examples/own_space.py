"""Write a search space, count it, ask why a config is not in it: python examples/own_space.py"""

import numpy as np
from kerntune.spaces import Space, choice, pow2


def main() -> None:
    """A tile space with a derived value and a conditional parameter."""
    s = Space("my_tiles")
    bm, bn, stages = s.add(pow2("BLOCK_M", 16, 256), pow2("BLOCK_N", 16, 256), choice("num_stages", 2, 3, 4))
    smem = s.derive("smem_bytes", (bm + bn) * 64 * 2 * stages)
    s.require(smem <= 232_448, "stages of both tiles must fit shared memory")
    split = s.add(choice("SPLIT_K", 1, 2, 4))
    s.when(split > 1, s.add(choice("REDUCE", "atomic", "workspace")))
    feasible = s.on()
    print(f"{len(feasible)} of {feasible.cartesian} configs are feasible; the first: {feasible[0]}")
    print("why not 256 x 256 x 4:", feasible.explain({"BLOCK_M": 256, "BLOCK_N": 256, "num_stages": 4, "SPLIT_K": 1}))
    print("three at random:", feasible.sample(np.random.default_rng(0), 3))


if __name__ == "__main__":
    main()
