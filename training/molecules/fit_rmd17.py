"""Fits one potential a molecule to rMD17 and writes `rmd17.safetensors`.

    python training/molecules/fit_rmd17.py --data ../shared/data/molecules/rmd17

950 frames of each `NAME_train01.npz` are trained on, 50 choose nothing but are printed. A molecule's state is kept in `--work`
after each epoch, so that a stopped run goes on where it was; the file is written again after each molecule.
"""

import argparse
import math
import pathlib
import time

import numpy as np
import torch

import fit_kernel
import local_kernel
from export import write
from model import Potential
from start import fit_linear, moments
from topology import Topology

EV_PER_KCAL = 4184 / 96485.33212331
# Channels, the least ridge, frames a step, whether hydrogen on oxygen may move from one to the other, and the decay of the mixing with
# distance (1/angstrom), chosen by the validation frames.
MOLECULES = {
    "ethanol": (32, 0.01, 10, False, 0.5),
    "aspirin": (48, 0.01, 5, False, 1.2),
    "benzene": (32, 0.01, 10, False, 0.5),
    "malonaldehyde": (32, 0.01, 10, False, 0.5),
    "salicylic": (32, 0.01, 5, True, 0.5),
    "toluene": (32, 0.01, 5, False, 0.5),
}
# With `--form kernel`: bonds around an atom, decay with bonds, length (1/angstrom), noise.
KERNELS = {"aspirin": (3, 0.8, 1.0, 1e-5)}
SETTINGS = {"cutoff": 5.0, "radial": 10, "radial_kept": 5, "damping": 0.1, "smooth": 2.0, "align_power": 0.25, "align_floor": 0.1}


def load(path):
    """Elements, coordinates (angstrom), energies (eV), forces (eV/angstrom), f64."""
    raw = np.load(path)
    energies, forces = raw["energies"].astype(float) * EV_PER_KCAL, raw["forces"].astype(float) * EV_PER_KCAL
    return raw["nuclear_charges"], raw["coords"].astype(float), energies, forces


def split():
    order = np.random.default_rng(0).permutation(1000)
    return order[:950], order[950:]


def errors(model, geometry, energies, forces, index):
    """Mean absolute errors, meV and meV/angstrom."""
    found = [model.run(geometry, index[s : s + 50]) for s in range(0, len(index), 50)]
    e, f = (torch.cat([part[n] for part in found]).detach().double() for n in (0, 1))
    energy = np.abs(e.numpy() + model.shift.item() - energies[index]).mean()
    return 1e3 * energy, 1e3 * np.abs(f.numpy() - forces[index]).mean()


def centre(model, geometry, energies, train):
    """Sets the shift so that the training frames' mean energy is right: f32 sums over thousands of coefficients leave some meV."""
    found = torch.cat([model.run(geometry, train[s : s + 50])[0] for s in range(0, len(train), 50)]).detach().double().numpy()
    model.shift.fill_((energies[train] - found).mean())


def settings_of(name, epochs):
    """The linear start alone needs no hidden units."""
    return SETTINGS | {"channels": MOLECULES[name][0], "decay": MOLECULES[name][4], "hidden": 16 if epochs else 0}


def align(model, pilot, frames, geometry, train, energies, forces):
    """Aligns the mixing by a smaller fit with a random one."""
    count, channels, ridge = int(pilot[0]), int(pilot[1]), pilot[2]
    pilot = Potential(model.topology, model.settings | {"channels": channels, "hidden": 0})
    pilot.whiten.copy_(model.whiten)
    pilot.fit_decay(frames[train[:50]])
    pilot.fit_scale(geometry, train[:200])
    fit_linear(pilot, geometry, train[:count], energies, forces, ridge, rounds=20)
    model.align(pilot, moments(pilot, geometry, train[:100]), frames[train[:50]])


def fit(name, data, work, seed, epochs, linear, rounds, pilot):
    _, ridge, batch, labile, _ = MOLECULES[name]
    z, coords, energies, forces = load(data / f"{name}_train01.npz")
    train, held = split()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Potential(Topology(z, coords[0], labile), settings_of(name, epochs))
    model.shift.fill_(energies[train].mean())
    frames = torch.from_numpy(coords)
    model.fit_whitening(frames[train])
    geometry = model.geometry(frames)
    path, first, shifted = work / f"{name}-{seed}.pt", 0, energies - model.shift.item()
    if linear and pilot and not path.exists():
        align(model, pilot, frames, geometry, train, shifted, forces)
    else:
        model.fit_decay(frames[train[:50]])
    model.fit_scale(geometry, train[:200])
    if linear and not path.exists():
        progress = lambda done: print(f"{name}: {done} of 950 frames", flush=True) if done % 100 == 0 else None
        look = lambda turn: print(f"{name}: {turn} rounds, validation MAE %.2f %.2f" % errors(model, geometry, energies, forces, held), flush=True)
        fit_linear(model, geometry, train, shifted, forces, ridge, rounds=rounds, progress=progress, look=look)
        print(f"{name}: linear start, validation MAE %.2f %.2f" % errors(model, geometry, energies, forces, held), flush=True)
    e, f = torch.from_numpy(shifted).float(), torch.from_numpy(forces).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.99))
    mean = [p.detach().clone() for p in model.parameters()]
    if path.exists():
        state = torch.load(path, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        mean, first, rng.bit_generator.state = state["mean"], state["epoch"], state["rng"]
    steps, begin = len(train) // batch, time.time()
    for epoch in range(first, epochs):
        order, sums = rng.permutation(train), np.zeros(2)
        for s in range(steps):
            step = epoch * steps + s
            rate = (1e-3 if linear else 3e-3) * min(1, step / 100) * (0.005 + 0.995 * (1 + math.cos(math.pi * step / (epochs * steps))) / 2)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            index = order[s * batch : (s + 1) * batch]
            de, df = model.run(geometry, index, (e[index], f[index]), (10 / len(z), 1.0))
            optimizer.step()
            torch._foreach_lerp_(mean, [p.detach() for p in model.parameters()], 1 - min(0.999, step / (step + 10)))
            sums += de.square().mean().item(), df.square().mean().item()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "mean": mean, "epoch": epoch + 1, "rng": rng.bit_generator.state}, path)
        if epoch % 5 == 4 or epoch + 1 == epochs or epoch < 2:
            averaged = with_parameters(model, mean)
            rms = 1e3 * np.sqrt(sums / steps)
            validation = errors(averaged, geometry, energies, forces, held)
            print(f"{name} {epoch + 1}/{epochs} {time.time() - begin:.0f} s, training RMS {rms[0]:.1f} meV {rms[1]:.1f} meV/A, validation MAE {validation[0]:.2f} {validation[1]:.2f}", flush=True)
    averaged = with_parameters(model, mean)
    centre(averaged, geometry, energies, train)
    return averaged, errors(averaged, geometry, energies, forces, held)


def fit_by_kernel(name, data, work, frames, rounds):
    """State of a kernel regression: the training frames in f32, as the file has them, and their coefficients."""
    reach, decay, length, noise = KERNELS[name]
    z, coords, energies, forces = load(data / f"{name}_train01.npz")
    train, held = split()
    train = train[:frames]
    coords = coords.astype(np.float32).astype(float)
    topology = Topology(z, coords[0], False)
    weight = local_kernel.weights(topology.bonded, reach, decay, length).astype(np.float32).astype(float)
    model = fit_kernel.Model(coords[train], weight, local_kernel.symmetries(z, topology.bonded))
    path, begin = work / f"{name}-kernel.npz", time.time()

    def progress(turn, left, state):
        print(f"{name} {turn + 1}: {time.time() - begin:.0f} s, residual {left:.1e}", flush=True)
        if turn % 5 == 4:
            np.savez(path.with_suffix(".new.npz"), **state)
            path.with_suffix(".new.npz").replace(path)

    state = dict(np.load(path)) if path.exists() else None
    fit_kernel.fit(model, forces[train], noise, range(0, len(train), max(1, len(train) // 45)), rounds, 3e-5, progress, state)
    model.coefficients = model.coefficients.astype(np.float32).astype(float)
    shift = (energies[train] - model()[0]).mean()
    found_energies, found_forces = model(coords[held])
    validation = 1e3 * np.abs(found_energies + shift - energies[held]).mean(), 1e3 * np.abs(found_forces - forces[held]).mean()
    print(f"{name}: kernel, validation MAE %.2f %.2f" % validation, flush=True)
    kept = {"frames": model.frames, "coefficients": model.coefficients, "weights": weight, "symmetries": model.symmetries}
    return {"kernel": kept, "shift": shift, "validation": validation, "labile": False}


def with_parameters(model, values):
    twin = Potential(model.topology, model.settings)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for parameter, value in zip(twin.parameters(), values):
            parameter.copy_(value)
    return twin


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("rmd17-work"))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("models/rmd17.safetensors"))
    parser.add_argument("--epochs", type=int, default=0, help="of gradient descent on all weights after the start")
    parser.add_argument("--start", choices=["linear", "none"], default="linear", help="none: descend from random weights")
    parser.add_argument("--channels", type=int, help="other than the table's")
    parser.add_argument("--pilot", nargs=3, type=float, metavar=("FRAMES", "CHANNELS", "RIDGE"), help="align the mixing by such a fit")
    parser.add_argument("--form", choices=["expansion", "kernel"], default="expansion", help="kernel: of the molecules that the script has settings for")
    parser.add_argument("--frames", type=int, default=950, help="training frames of a kernel regression")
    parser.add_argument("--rounds", type=int, help="conjugate gradients, at most: 60 of the least squares, 200 of a kernel regression")
    parser.add_argument("--molecules", nargs="+", default=list(MOLECULES), choices=list(MOLECULES))
    return parser.parse_args()


def main():
    torch.set_num_threads(1)
    given = arguments()
    given.rounds = given.rounds or (200 if given.form == "kernel" else 60)
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.molecules:
        if given.channels:
            MOLECULES[name] = (given.channels, *MOLECULES[name][1:])
        if given.form == "kernel" and name in KERNELS:
            torch.save(fit_by_kernel(name, given.data, given.work, given.frames, given.rounds), given.work / f"{name}-done.pt")
            write(given.output, given.data, given.work, list(MOLECULES))
            continue
        model, validation = fit(name, given.data, given.work, given.seed, given.epochs, given.start == "linear", given.rounds, given.pilot)
        state = {"model": model.state_dict(), "settings": model.settings, "validation": validation, "labile": model.topology.labile}
        torch.save(state, given.work / f"{name}-done.pt")
        write(given.output, given.data, given.work, list(MOLECULES))


if __name__ == "__main__":
    main()
