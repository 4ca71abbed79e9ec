"""A network's `forward` as a graph of calls: torch.fx's tracer, with the layers of PyTorch Geometric as its leaves.

`trace` records the calls; `probe` runs them on two small random graphs, so that the export knows the shape of each value
and which numbers depend on the graph.
"""

import inspect
import operator
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
import torch_geometric
import torch_geometric.nn as gnn
import torch_geometric.utils
from torch.fx import GraphModule, Interpreter, Proxy, Tracer
from torch_geometric.nn.models.schnet import CFConv, ShiftedSoftplus

from equivariant import E_GCL, PaiNNInteraction, PaiNNMixing
from export_layers import ExportError

INPUTS = ("x", "edge_index", "edge_attr", "edge_weight", "batch")
LIBRARIES = (*(str(Path(module.__file__).parent) for module in (torch, torch_geometric)), str(Path(__file__).parent / "export"))

# Modules of PyTorch Geometric that are written with other modules, and so are traced into.
TRACED = (gnn.Sequential, gnn.MLP)
LEAVES = (gnn.MessagePassing, gnn.JumpingKnowledge, ShiftedSoftplus, CFConv, E_GCL, PaiNNInteraction, PaiNNMixing)
FUNCTIONS = [
    value
    for module in (gnn, gnn.pool, torch_geometric.utils)
    for value in vars(module).values()
    if inspect.isfunction(value)
]


def is_leaf(module):
    if isinstance(module, LEAVES):
        return True
    if isinstance(module, TRACED) or module.__module__.startswith("torch_geometric.nn.models"):
        return False
    containers = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
    return module.__module__.startswith(("torch.nn.", "torch_geometric.nn.")) and not isinstance(module, containers)


class InPlaceProxy(Proxy):
    """A value of the trace. `+=` and its like are recorded as what they are: the value itself changes."""

    def _in_place(self, function, other):
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    def __iadd__(self, other):
        return self._in_place(operator.iadd, other)

    def __isub__(self, other):
        return self._in_place(operator.isub, other)

    def __imul__(self, other):
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other):
        return self._in_place(operator.itruediv, other)


class NetworkTracer(Tracer):
    def __init__(self):
        super().__init__(autowrap_functions=tuple(FUNCTIONS))
        self._autowrap_search += [gnn, gnn.pool, torch_geometric.utils]

    def is_leaf_module(self, module, name):
        return is_leaf(module)

    def proxy(self, node):
        return InPlaceProxy(node, self)

    def create_node(self, *args, **kwargs):
        node = super().create_node(*args, **kwargs)
        node.meta["place"] = place_of(traceback.walk_stack(sys._getframe(1)))
        return node


def place_of(frames):
    """File and line of the innermost frame that is the user's own; nothing where there is none."""
    for frame, line in frames:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        if file == __file__ and function == "forward":
            return ""
        if not file.startswith(LIBRARIES):
            return f"{Path(file).name}:{line}"
    return ""


def user_name(qualified):
    """A module's name as the user knows it, without the tracer's own root."""
    return "" if qualified == "module" else qualified.removeprefix("module.")


def called(graph, node):
    """A call in words: what is called, its qualified name, and the line of forward."""
    place = f" at {node.meta['place']}" if node.meta.get("place") else ""
    if node.op == "call_module":
        return f"{type(graph.get_submodule(node.target)).__name__} `{user_name(node.target)}`{place}"
    name = node.target if isinstance(node.target, str) else node.target.__name__
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    inside = f" in `{user_name(stack[-1][0])}`" if stack and user_name(stack[-1][0]) else ""
    return f"{name}{inside}{place}"


def call_name(graph, node):
    """The name of a function or method, without the underscore of its in-place variant."""
    if node.op == "call_method":
        return node.target if node.target.startswith("__") else node.target.removesuffix("_")
    if node.op == "call_function":
        return node.target.__name__.removesuffix("_")
    return ""


class Root(torch.nn.Module):
    """Calls the network with those of `INPUTS` that its `forward` takes."""

    def __init__(self, module, arguments):
        super().__init__()
        self.module = module
        self.arguments = arguments

    def forward(self, x, edge_index, edge_attr, edge_weight, batch):
        values = dict(zip(INPUTS, (x, edge_index, edge_attr, edge_weight, batch)))
        return self.module(**{name: DataValues(values) if value == "data" else values[value]
                              for name, value in self.arguments.items()})


class Rows(torch.nn.Module):
    """Calls a network on rows: what a layer holds as its `nn`."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


class DataValues:
    """What `forward(data)` may ask its argument for."""

    def __init__(self, values):
        self.__dict__.update(values)


def arguments_of(module, with_edges):
    """The arguments of `forward`, each with what it is given: one of `INPUTS`, or "data"."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    if [p.name for p in parameters] == ["data"]:
        return {"data": "data"}
    out = {}
    for place, p in enumerate(parameters):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        optional = p.default is not p.empty
        if place == 0:
            out[p.name] = "x"
        elif p.name in ("edge_index", "batch"):
            out[p.name] = p.name
        elif p.name in ("edge_attr", "edge_weight"):
            if with_edges or not optional:
                out[p.name] = p.name
        elif not optional:
            raise ExportError(f"forward of {type(module).__name__} has an argument `{p.name}`; it may have x, edge_index, "
                              "edge_attr or edge_weight, and batch")
    return out


def trace(root):
    """The graph of calls of `root`."""
    for module in root.modules():
        if isinstance(module, gnn.Sequential):  # its functions are attributes, where the tracer does not look for them
            for child in module._children:
                function = getattr(module, child.name)
                if function in FUNCTIONS:
                    setattr(module, child.name, recorded(function))
    try:  # an aggregation has a `__call__` of its own, which the tracer does not know
        with patch.object(gnn.Aggregation, "__call__", lambda *args, **kwargs: torch.nn.Module.__call__(*args, **kwargs)):
            return GraphModule(root, NetworkTracer().trace(root))
    except ExportError:
        raise
    except Exception as error:
        place = place_of(reversed(list(traceback.walk_tb(error.__traceback__))))
        reason = str(error).split("\n")[0]
        if isinstance(error, torch.fx.proxy.TraceError):
            reason = f"what forward does depends on its data ({reason}), and the file knows no branches"
        raise ExportError(f"forward{f' at {place}' if place else ''}: {reason}") from error


def recorded(function):
    def record(*args, **kwargs):
        proxies = [a for a in (*args, *kwargs.values()) if isinstance(a, Proxy)]
        return proxies[0].tracer.create_proxy("call_function", function, args, kwargs) if proxies else function(*args, **kwargs)

    return record


@dataclass
class Sizes:
    """Rows of each kind in a small graph; no two are equal, and none is a number of channels of the network."""

    nodes: int
    edges: int
    graphs: int


def sizes_of(module):
    """Two sets of sizes."""
    taken = {d for tensor in module.state_dict().values() for d in tensor.shape}
    free = [size for size in range(5, 40 + 3 * len(taken) + max(taken, default=0)) if size not in taken]
    return [Sizes(nodes=free[2 * i + 2], edges=free[2 * i + 6], graphs=free[i]) for i in range(2)]


class Recorder(Interpreter):
    """Runs a graph of calls and keeps every value."""

    def __init__(self, graph):
        super().__init__(graph, garbage_collect_values=False)
        self.values = {}

    def run_node(self, node):
        try:
            out = super().run_node(node)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ExportError(f"{called(self.module, node)} fails on a small random graph: {reason}") from error
        self.values[node] = out.clone() if isinstance(out, torch.Tensor) else out
        return out


def small_graph(sizes, channels, edge_shape):
    """Random values of `INPUTS`."""
    generator = torch.Generator().manual_seed(sizes.nodes)
    edges = [sizes.edges, *edge_shape]
    batch = torch.arange(sizes.nodes) * sizes.graphs // sizes.nodes
    ends = torch.randint(sizes.nodes, (2, sizes.edges), generator=generator)
    attributes = torch.rand(edges, generator=generator)
    return torch.rand([sizes.nodes, channels], generator=generator), ends, attributes, attributes, batch


def probe(graph, inputs):
    """The value of each node of the graph of calls for each of `inputs`."""
    out = []
    with torch.no_grad():
        for values in inputs:
            recorder = Recorder(graph)
            recorder.run(*values)
            out.append(recorder.values)
    return out
