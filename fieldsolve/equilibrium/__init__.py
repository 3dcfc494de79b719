"""Problems and their equilibria: energies of densities on a grid, the descent that lowers them, the bounds that certify them.

`Problem` is the only input and `Solution` the only output. Whoever needs to know what an energy allows (a Gibbs form, vertices,
a pointwise dual, phases, a Hessian, a safe step) asks the `Energy`. Knows grids, and neither embeddings nor pair laws.
"""
