"""Functions, methods and operators in `forward`, each as a step of the file.

`Functions` is one half of `export_steps.Steps`, which has the other: modules.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from export_layers import FUNCTIONS, POOLS, REFUSED, ExportError
from export_trace import call_name


@dataclass(frozen=True)
class Value:
    """An output of a step, or an input of the network."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A number or a tensor that does not depend on the graph."""

    value: Any


@dataclass(frozen=True)
class Refusal:
    """A value that the file cannot express: an error where something uses it."""

    reason: str


@dataclass(frozen=True)
class Structure:
    """`edge_index` or `batch`, as the network was given it."""

    name: str


@dataclass(frozen=True)
class Pieces:
    """Several values in a tuple."""

    values: tuple


UNCHANGED = ("contiguous", "clone", "detach", "float", "double", "dropout", "feature_dropout", "alpha_dropout", "dropout1d")
RESHAPED = ("view", "reshape", "squeeze", "unsqueeze", "flatten", "view_as", "reshape_as", "to", "type", "type_as")
CAT = ("cat", "concat", "concatenate", "hstack", "column_stack")
ARITHMETIC = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "truediv": "Div", "div": "Div", "subtract": "Sub", "multiply": "Mul",
    "true_divide": "Div", "divide": "Div", "iadd": "Add", "isub": "Sub", "imul": "Mul", "itruediv": "Div",
}


class Functions:
    """What `Steps` does with a call of a function. It relies on `Steps` for the values and shapes."""

    def function(self, node):
        name = call_name(self.graph, node)
        args, options = list(node.args), dict(node.kwargs)
        if options.get("out") is not None:
            raise ExportError("out= cannot be expressed")
        library = "" if node.op == "call_method" else getattr(node.target, "__module__", None) or "torch"
        if name in POOLS and library.startswith("torch_geometric"):
            return self.pool(name, node)
        if not library.startswith(("torch", "_operator", "builtins", "")) or library.startswith("torch_geometric"):
            raise ExportError(REFUSED.get(name, "it cannot be expressed"))
        subject = args[0] if args else options.get("input", options.get("tensors"))
        if name in UNCHANGED:
            return self.value(subject)
        if name in RESHAPED:
            return self.reshaped(node, subject)
        if name in ("long", "int"):
            self.whole.add(node)
            return self.value(subject)
        if name in FUNCTIONS:
            return self.activation(node, name, args, options)
        if name == "prelu":
            return self.prelu(node, args[0], args[1] if len(args) > 1 else options["weight"])
        if name in CAT:
            return self.cat(node, name, subject, args[1] if len(args) > 1 else options.get("dim", options.get("axis", 0)))
        if name in ARITHMETIC:
            return self.arithmetic(node, ARITHMETIC[name], args, options)
        if name in ("neg", "negative"):
            return self.scaled(node, self.value(subject), -1.0)
        if name == "square" or (name == "pow" and self.resolved(args[1]) == Constant(2)):
            return self.add(node.name, "Mul", {}, [self.value(subject)] * 2)
        if name == "abs":
            x = self.value(subject)
            return self.add(node.name, "Max", {}, [x, self.scaled(node, x, -1.0)])
        if name in ("maximum", "max") and len(args) == 2 and isinstance(args[1], Node):
            return self.pair(node, "Max", args[0], args[1])
        if name == "linear":
            return self.linear(node, args, options)
        if name in ("matmul", "mm"):
            return self.matmul(node, args)
        if name == "getitem":
            return self.item(node, args[0], args[1])
        if name in ("split", "chunk"):
            return self.split(node, subject, args, options)
        raise ExportError(REFUSED.get(name, "there is no such layer; see the table in docs/own-network.md"))

    def pool(self, name, node):
        found = dict(zip(("x", "batch", "size"), node.args)) | node.kwargs
        if self.resolved(found.get("batch")) not in (Structure("batch"), Constant(None)):
            raise ExportError("its batch is not the one that forward was given")
        if self.resolved(found.get("size")) != Constant(None):
            raise ExportError("its argument size cannot be expressed")
        self.channels(found["x"])
        return self.add(node.name, name, {}, [self.value(found["x"])])

    def reshaped(self, node, subject):
        before, after = self.first[subject], self.first[node]
        same = before.shape == after.shape or (
            before.shape[0] == after.shape[0] and {before.dim(), after.dim()} == {1, 2} and before.numel() == after.numel()
            and before.numel() == before.shape[0])
        if same and not torch.is_floating_point(after):
            self.whole.add(node)
        if not same:
            raise ExportError(f"from {list(before.shape)} to {list(after.shape)}: a value stays rows of channels")
        return self.value(subject)

    def check_last(self, dim, argument):
        dimensions = self.first[argument].dim()
        if dim is not None and (dimensions != 2 or dim not in (-1, 1)) or dimensions != 2:
            raise ExportError("dim must be the channels (dim=-1)")

    def activation(self, node, name, args, options):
        layer, defaults = FUNCTIONS[name]
        subject = args[0] if args else options["input"]
        found = defaults | dict(zip(defaults, args[1:])) | {key: options[key] for key in defaults if key in options}
        found = {key: number(self.resolved(argument)) for key, argument in found.items()}
        if "dim" in found:
            self.check_last(found.pop("dim"), subject)
        if layer == "Softplus" and found["beta"] == 0:
            raise ExportError("beta is 0, and another number is supported")
        self.channels(subject)
        return self.add(node.name, layer, found, [self.value(subject)])

    def prelu(self, node, subject, weight):
        slope = tensor(self.resolved(weight)).reshape(-1)
        if slope.numel() != 1:
            raise ExportError("it has a slope a channel, and one slope is supported")
        out = self.add(node.name, "PReLU", {}, [self.value(subject)])
        self.tensors[f"{out.name}.weight"] = slope
        return out

    def cat(self, node, name, subject, dim):
        if name in ("hstack", "column_stack"):
            dim = 1
        shapes = [part.shape for part in (self.first[subject] if isinstance(subject, Node) else [self.first[p] for p in subject])]
        if dim not in (-1, 1) or any(len(shape) != 2 for shape in shapes):
            raise ExportError(f"dim={dim} of values of shape {[list(s) for s in shapes]}: only channels can be joined (dim=-1)")
        parts = self.resolved(subject).values
        if not all(isinstance(part, Value) for part in parts):
            raise ExportError("it joins something that is no value of the network")
        return self.add(node.name, "Cat", {}, parts) if len(parts) > 1 else parts[0]

    def arithmetic(self, node, layer, args, options):
        left, right = args[0], args[1] if len(args) > 1 else options["other"]
        if options.get("rounding_mode") is not None:
            raise ExportError("rounding_mode cannot be expressed")
        a, b = self.resolved(left), self.resolved(right)
        alpha = number(self.resolved(options.get("alpha", 1)))
        if isinstance(b, Value) and alpha != 1:
            b = self.scaled(node, b, alpha)
        elif isinstance(b, Constant):
            b = Constant(b.value * alpha)
        if isinstance(a, Value) and isinstance(b, Value):
            return self.pair(node, layer, left, right, b)
        if isinstance(a, Value) and isinstance(b, Constant):
            return self.by_constant(node, layer, left, b.value)
        if isinstance(b, Value) and isinstance(a, Constant):
            if layer == "Div":
                raise ExportError("a constant divided by a value cannot be expressed")
            if layer == "Sub":
                negative = self.scaled(node, b, -1.0)
                return self.by_constant(node, "Add", right, a.value, negative)
            return self.by_constant(node, layer, right, a.value, b)
        raise ExportError("it works on the structure of the graph")

    def pair(self, node, layer, left, right, b=None):
        """Two values, element by element."""
        a, b = self.value(left), b or self.value(right)
        one, two = self.first[left].shape, self.first[right].shape
        fits = one == two or (len(one) == len(two) == 2 and one[0] == two[0] and 1 in (one[1], two[1]))
        if not fits or len(one) not in (1, 2):
            raise ExportError(f"of shapes {list(one)} and {list(two)}: both must have the same rows, and the same channels or one")
        return self.add(node.name, layer, {}, [a, b])

    def scaled(self, node, value, factor):
        return self.add(f"{node.name}.scaled", "Scale", {"factor": float(factor)}, [value])

    def by_constant(self, node, layer, argument, constant, value=None):
        """A value and a number, or a value and a vector with one number a channel."""
        value = value or self.value(argument)
        shape = self.first[argument].shape
        if isinstance(constant, torch.Tensor) and constant.numel() > 1:
            channels = self.channels(argument)
            if constant.shape not in ((channels,), (1, channels)) or len(shape) != 2:
                raise ExportError(f"a constant of shape {list(constant.shape)} and a value of shape {list(shape)}")
            vector = constant.detach().reshape(-1).double()
            ones, zeros = torch.ones_like(vector), torch.zeros_like(vector)
            factor = {"Mul": vector, "Div": 1 / vector}.get(layer, ones)
            shift = {"Add": vector, "Sub": -vector}.get(layer, zeros)
            out = self.add(node.name, "BatchNorm", {"in_channels": channels, "eps": 0.0}, [value])
            parts = {"weight": factor, "bias": shift, "running_mean": zeros, "running_var": ones}
            self.tensors |= {f"{out.name}.{key}": tensor.float() for key, tensor in parts.items()}
            return out
        constant = number(Constant(constant))
        if layer in ("Add", "Sub"):
            offset = constant if layer == "Add" else -constant
            return self.add(node.name, "Shift", {"offset": offset}, [value]) if offset else value
        if layer == "Div" and constant == 0:
            raise ExportError("it divides by zero")
        factor = constant if layer == "Mul" else 1 / constant
        return self.add(node.name, "Scale", {"factor": factor}, [value]) if factor != 1 else value

    def linear(self, node, args, options):
        found = dict(zip(("input", "weight", "bias"), args)) | options
        return self.product(node, found["input"], tensor(self.resolved(found["weight"])), self.resolved(found.get("bias")).value)

    def matmul(self, node, args):
        weight = self.resolved(args[1])
        if not isinstance(weight, Constant):
            raise ExportError("a product of two values of the network cannot be expressed")
        return self.product(node, args[0], tensor(weight).t(), None)

    def product(self, node, subject, weight, bias):
        if weight.dim() != 2 or self.first[subject].dim() != 2:
            raise ExportError("both must be matrices")
        args = {"in_channels": weight.shape[1], "out_channels": weight.shape[0], "bias": bias is not None}
        out = self.add(node.name, "Linear", args, [self.value(subject)])
        self.tensors |= {f"{out.name}.weight": weight} | ({f"{out.name}.bias": bias} if bias is not None else {})
        return out

    def item(self, node, subject, index):
        pieces = self.resolved(subject)
        if isinstance(pieces, Pieces):
            return Pieces(pieces.values[index]) if isinstance(index, slice) else pieces.values[index]
        value, before, after = self.value(subject), self.first[subject], self.first[node]
        if isinstance(index, tuple) and index and index[0] in (slice(None), Ellipsis):
            if None in index and before.numel() == after.numel():
                return self.reshaped(node, subject)
            if len(index) == 2 and before.dim() == 2:
                return self.columns(node, value, index[1], before.shape[1])
        raise ExportError(f"[{index}] of a value: only channels can be picked, as in x[:, 2:5]")

    def columns(self, node, value, index, channels):
        if isinstance(index, int):
            start = index + channels if index < 0 else index
            index = slice(start, start + 1)
        if not isinstance(index, slice) or index.step not in (None, 1):
            raise ExportError("only a range of channels can be picked, as in x[:, 2:5]")
        start, end, _ = index.indices(channels)
        if start >= end:
            raise ExportError("it picks no channel")
        return self.slice(node.name, value, start, end, channels)

    def slice(self, name, value, start, end, channels):
        if (start, end) == (0, channels):
            return value
        out = self.add(name, "Columns", {"start": start, "end": end}, [value])
        self.sliced |= {value.name, out.name}
        return out

    def split(self, node, subject, args, options):
        dim = options.get("dim", args[2] if len(args) > 2 else 0)
        if dim not in (-1, 1) or self.first[subject].dim() != 2:
            raise ExportError("only channels can be split (dim=-1)")
        value, channels, start, out = self.value(subject), self.channels(subject), 0, []
        for i, piece in enumerate(self.first[node]):
            end = start + piece.shape[1]
            out.append(self.slice(f"{node.name}.{i}", value, start, end, channels))
            start = end
        return Pieces(tuple(out))


def number(found):
    """A constant as a plain number, or as what else it is."""
    value = found.value if isinstance(found, Constant) else None
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isfinite(value):
        raise ExportError(f"a constant is {value}")
    if value is not None and not isinstance(value, (int, float, str)):
        raise ExportError(f"a constant of type {type(value).__name__} where a number should stand")
    return value


def tensor(found):
    """A constant as a tensor."""
    if not isinstance(found, Constant) or not isinstance(found.value, torch.Tensor):
        raise ExportError("its weights are not parameters of the network")
    return found.value
