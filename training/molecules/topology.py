"""Atom types and pair classes of a molecule, from its elements and its bonds.

Two atoms are bonded where they are nearer than `BONDS` says for their elements. An atom's type is its colour after refinement
(Weisfeiler and Leman 1968): begin with the element, then add the sorted colours of the bonded atoms until nothing splits.
An ordered pair's class is (type of the centre, type of the neighbour, bonds between them, at most `FAR`).
"""

import numpy as np

FAR = 4
BONDS = {(1, 6): 1.6, (1, 8): 1.4, (6, 6): 1.85, (6, 8): 1.85}


def bonds(z, coords, labile):
    """`[A, A]` bool. Where `labile`, hydrogen on oxygen counts as free, since it may change its partner."""
    distance = np.linalg.norm(coords[:, None] - coords[None], axis=-1)
    found = np.zeros(distance.shape, bool)
    for i in range(len(z)):
        for j in range(len(z)):
            pair = tuple(sorted((int(z[i]), int(z[j]))))
            if i != j and not (labile and pair == (1, 8)):
                found[i, j] = distance[i, j] < BONDS.get(pair, 0.0)
    return found


def hops(bonded):
    """`[A, A]` int: bonds on the shortest way between two atoms, `FAR` where more or none."""
    count = len(bonded)
    steps = np.full((count, count), FAR)
    np.fill_diagonal(steps, 0)
    reached = np.eye(count, dtype=bool)
    for step in range(1, FAR):
        reached = reached | (reached @ bonded)
        steps[reached & (steps == FAR)] = step
    return steps


def colours(z, bonded):
    """One text an atom: equal for atoms that refinement does not tell apart."""
    colour = [str(int(v)) for v in z]
    while True:
        refined = [f"{colour[i]}({','.join(sorted(colour[j] for j in np.flatnonzero(bonded[i])))})" for i in range(len(z))]
        if len(set(refined)) == len(set(colour)):
            return colour
        names = {text: f"{text.split('(')[0].split('.')[0]}.{rank}" for rank, text in enumerate(sorted(set(refined)))}
        colour = [names[text] for text in refined]


class Topology:
    """Types `[A]` and pair classes `[A, A]` (-1 on the diagonal) of a molecule."""

    def __init__(self, z, coords, labile):
        self.z, self.labile = np.asarray(z), labile
        self.bonded = bonds(z, coords, labile)
        self.hops = hops(self.bonded)
        colour = colours(z, self.bonded)
        self.names = sorted(set(colour))
        self.types = np.array([self.names.index(c) for c in colour])
        keys = {}
        self.classes = np.full(self.hops.shape, -1)
        for i in range(len(z)):
            for j in range(len(z)):
                if i != j:
                    keys.setdefault((int(self.types[i]), int(self.types[j]), int(self.hops[i, j])), None)
        self.keys = sorted(keys)
        for i in range(len(z)):
            for j in range(len(z)):
                if i != j:
                    self.classes[i, j] = self.keys.index((self.types[i], self.types[j], self.hops[i, j]))
