"""From a graph of calls to the steps of the file, one call after the other."""

import inspect

import torch
import torch_geometric.nn as gnn
from torch import nn
from torch.fx import Node

from export_functions import RESHAPED, UNCHANGED, Constant, Functions, Pieces, Refusal, Structure, Value
from export_layers import (
    FUNCTIONS, IDENTITIES, LAYERS, NOT_NESTED, POOLS, REFUSED, ExportError, fill_value, tensors_of)
from export_trace import Rows, call_name, called, probe, trace, user_name


def nested_rows(module):
    """A network that a layer runs on rows: `(list of layers, tensors by relative name, channels in, channels out)`."""
    root = Rows(module)
    graph = trace(root)
    x = next(node for node in graph.graph.nodes if node.op == "placeholder")
    width = wanted_channels(graph, x)
    if width is None:
        raise ExportError("no layer in it says how many channels it takes")
    values = probe(graph, [[torch.rand(rows, width)] for rows in (5, 7)])
    steps = Steps(graph, values)
    output = steps.run()
    before, rows = "x", []
    for step in steps.steps:
        if step["inputs"] != [before]:
            raise ExportError("it is no plain chain of layers")
        if step["layer"] in (*NOT_NESTED, *POOLS):
            raise ExportError(f"{NOT_NESTED.get(step['layer'], step['layer'])} cannot stand in it; it is a chain of row-wise layers")
        before = step["name"]
        rows.append({"layer": step["layer"], "args": step["args"]})
        prefix = step.get("weights", step["name"])
        if any(key.startswith(prefix + ".") for key in steps.tensors):
            rows[-1]["weights"] = prefix
    if output != Value(before):
        raise ExportError("it is no plain chain of layers")
    last = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    return rows, steps.tensors, width, steps.channels(last)


def described(module):
    """How the table describes a module: `(entry, arguments, nested networks)`."""
    entry = LAYERS[type(module)]
    nested = {}
    for name in entry.nested:
        inner = getattr(module, name)
        if inner is not None:
            try:
                nested[name] = nested_rows(inner)
            except ExportError as error:
                raise ExportError(f"its {name}: {error}") from error
    args = entry.args(module)
    entry.check(args, {name: (rows, *widths) for name, (rows, _, *widths) in nested.items()})
    return entry, args, nested


def widths_of(module):
    """Channels of the inputs of a module, by the names of the arguments of its `forward`."""
    entry, args, nested = described(module)
    out = {entry.inputs[0]: args["in_channels"]} if "in_channels" in args else {}
    if "edge_weight" in entry.inputs:
        out["edge_weight"] = 1
    if args.get("edge_dim"):
        out["edge_attr"] = args["edge_dim"]
    return out | entry.widths(args, {name: width for name, (_, _, width, _) in nested.items()})


def message_passing(module, entry):
    """Checks what all layers of message passing have in common; the argument `aggr` where it may differ."""
    if module.flow != "source_to_target":
        raise ExportError("flow is target_to_source; turn the edges round and use source_to_target")
    kind = type(module.aggr_module)
    named = {gnn.SumAggregation: "add", gnn.MeanAggregation: "mean", gnn.MaxAggregation: "max"}
    aggregation = named.get(kind, str(module.aggr))
    if aggregation not in entry.aggregations:
        reason = f" ({REFUSED[kind.__name__]})" if kind.__name__ in REFUSED else ""
        raise ExportError(f'aggr="{aggregation}"{reason}: {", ".join(entry.aggregations)} can be expressed')
    return {"aggr": aggregation} if len(entry.aggregations) > 1 else {}


def check_modules(graph):
    """Refuses layers that cannot run on any graph of ours, before they do."""
    for node in graph.graph.nodes:
        if node.op == "call_module" and isinstance(module := graph.get_submodule(node.target), gnn.MessagePassing):
            if type(module) in LAYERS:
                try:
                    message_passing(module, LAYERS[type(module)])
                except ExportError as error:
                    raise ExportError(f"{called(graph, node)}: {error}") from error


def check_layers(graph):
    """Refuses layers that are not known, and those whose arguments or networks cannot be expressed."""
    for node in graph.graph.nodes:
        if node.op != "call_module":
            continue
        module = graph.get_submodule(node.target)
        try:
            if type(module) in LAYERS:
                described(module)
            elif isinstance(module, gnn.MessagePassing):
                raise ExportError(unknown(type(module)))
        except ExportError as error:
            raise ExportError(f"{called(graph, node)}: {error}") from error


def unknown(kind):
    """Why a layer that is not known is refused."""
    return REFUSED.get(kind.__name__, "there is no such layer; see the table in docs/own-network.md")


def bound(module, node):
    """The arguments of a call of a module, by name."""
    try:
        return inspect.signature(module.forward).bind(*node.args, **node.kwargs).arguments
    except TypeError as error:
        raise ExportError(str(error)) from error


def wanted_channels(graph, value):
    """How many channels the users of a value take, where one says so."""
    for user in value.users:
        name = call_name(graph, user)
        wanted = None
        if user.op == "call_module":
            module = graph.get_submodule(user.target)
            if type(module) in LAYERS:
                try:
                    widths, arguments = widths_of(module), bound(module, user)
                except ExportError:
                    continue  # it is refused by name when its turn comes
                of = [widths.get(key) for key, argument in arguments.items() if argument is value or argument == (value, value)]
                wanted = next((width for width in of if width), None)
                if wanted is None and LAYERS[type(module)].name not in POOLS and len(LAYERS[type(module)].inputs) == 1:
                    wanted = wanted_channels(graph, user)
            elif isinstance(module, IDENTITIES):
                wanted = wanted_channels(graph, user)
        elif name in FUNCTIONS or name in UNCHANGED or name in RESHAPED:
            wanted = wanted_channels(graph, user)
        elif name == "linear" and isinstance(user.args[1], Node) and user.args[1].op == "get_attr":
            wanted = graph.get_parameter(user.args[1].target).shape[1]
        elif name == "getitem" and user.args[0] is value and isinstance(user.args[1], tuple) and len(user.args[1]) == 2:
            start = user.args[1][1]
            if isinstance(start, slice) and start.stop is None and (start.start or 0) >= 0:
                rest = wanted_channels(graph, user)
                wanted = rest + (start.start or 0) if rest else None
        if wanted is not None:
            return wanted
    return None


class Steps(Functions):
    """Translates a graph of calls, whose values are known for two small graphs."""

    def __init__(self, graph, values):
        self.graph = graph
        self.first, self.second = values
        self.env = {}
        self.steps = []
        self.tensors = {}
        self.names = {"x", "edge_attr"}
        self.calls = {}  # calls of each module so far
        self.whole = set()  # calls that give whole numbers
        self.sliced = set()  # values that share memory with a slice

    def run(self):
        """Translates every call; the value that `forward` returns."""
        for node in self.graph.graph.nodes:
            if node.op == "output":
                return self.output(node)
            try:
                self.env[node] = self.translated(node)
            except (ExportError, TypeError, AttributeError, LookupError, ValueError) as error:
                reason = error if isinstance(error, ExportError) else f"it is called in a way that cannot be expressed ({error})"
                refusal = Refusal(f"{called(self.graph, node)}: {reason}")
                if self.changes_in_place(node):
                    raise ExportError(refusal.reason) from error
                self.env[node] = refusal
        raise ExportError("forward returns nothing")

    def output(self, node):
        out = self.resolved(node.args[0])
        if not isinstance(out, Value):
            raise ExportError(f"forward returns {type(out).__name__.lower()}, and the file has one matrix as its output")
        self.channels(node.args[0])
        return out

    def changes_in_place(self, node):
        if node.op == "call_module":
            return bool(getattr(self.graph.get_submodule(node.target), "inplace", False))
        if node.op not in ("call_function", "call_method"):
            return False
        name = node.target if isinstance(node.target, str) else node.target.__name__
        inplace = node.kwargs.get("inplace", False) or (name in ("relu", "silu") and True in node.args[1:])
        return name in ("iadd", "isub", "imul", "itruediv") or (name.endswith("_") and not name.endswith("__")) or inplace

    def translated(self, node):
        if node.op == "placeholder":
            return self.placeholder(node)
        first, second = self.first[node], self.second[node]
        tensors = any(isinstance(value, torch.Tensor) for value in (first if isinstance(first, (tuple, list)) else [first]))
        if not tensors:
            return Constant(first) if first == second else Refusal(
                f"{called(self.graph, node)}: it is a number that depends on the size of the graph")
        if node.op == "get_attr" or (node.all_input_nodes
                                     and all(isinstance(self.env[n], Constant) for n in node.all_input_nodes)):
            if isinstance(first, torch.Tensor) and not torch.equal(first, second):
                raise ExportError("it gives another result at each call")
            return Constant(first)
        if any(n in self.whole for n in node.all_input_nodes) and not self.takes_whole_numbers(node):
            raise ExportError("it works on whole numbers; only an Embedding does")
        out = self.module(node) if node.op == "call_module" else self.function(node)
        if self.changes_in_place(node):
            self.replace(self.resolved(node.args[0]), out)
        return out

    def takes_whole_numbers(self, node):
        if node.op == "call_module":
            return isinstance(self.graph.get_submodule(node.target), nn.Embedding)
        if call_name(self.graph, node) in (*RESHAPED, *UNCHANGED, "getitem", "long", "int"):
            self.whole.add(node)
            return True
        return False

    def placeholder(self, node):
        if node.name in ("edge_index", "batch"):
            return Structure(node.name)
        return Value("edge_attr" if node.name == "edge_weight" else "x" if node.name == "x" else node.name)

    def replace(self, old, new):
        """What was `old` is `new` from here on: an operation in place."""
        if old == new:
            return
        if not isinstance(old, Value) or old.name in self.sliced:
            raise ExportError("it changes a value that shares memory with another; use the variant that is not in place")
        self.env.update({node: new for node, value in self.env.items() if value == old})

    def resolved(self, argument):
        """What an argument of a call stands for."""
        if isinstance(argument, Node):
            out = self.env[argument]
            if isinstance(out, Refusal):
                raise ExportError(out.reason)
            return out
        if isinstance(argument, (tuple, list)):
            return Pieces(tuple(self.resolved(a) for a in argument))
        return Constant(argument)

    def value(self, argument):
        """The value that an argument is."""
        out = self.resolved(argument)
        if isinstance(out, Pieces) and len(set(out.values)) == 1:
            out = out.values[0]
        if isinstance(out, Pieces):
            raise ExportError("it is called with a tuple (bipartite message passing), and the file knows one kind of nodes")
        if not isinstance(out, Value):
            raise ExportError(f"it works on {getattr(out, 'name', 'a constant')} where a matrix of the network should stand")
        return out

    def channels(self, argument):
        """Channels of a value; one where it has one number a row."""
        node = argument[0] if isinstance(argument, (tuple, list)) else argument
        shape = self.first[node].shape
        if len(shape) not in (1, 2):
            raise ExportError(f"a value of shape {list(shape)} is not rows of channels")
        return shape[1] if len(shape) == 2 else 1

    def add(self, name, layer, args, inputs, weights=None):
        """Adds a step; its output."""
        for key, number in args.items():
            if isinstance(number, (int, float)) and not abs(number) <= torch.finfo(torch.float32).max:
                raise ExportError(f"{key} is {number}, and a finite number of f32 is supported")
        unique, n = name, 2
        while unique in self.names:
            unique, n = f"{name}@{n}", n + 1
        self.names.add(unique)
        step = {"name": unique, "layer": layer, "args": args, "inputs": [value.name for value in inputs]}
        if weights is not None and weights != unique:
            step["weights"] = weights
        self.steps.append(step)
        return Value(unique)

    # Modules

    def module(self, node):
        module = self.graph.get_submodule(node.target)
        kind = type(module)
        if isinstance(module, IDENTITIES):
            return self.value(node.args[0])
        if isinstance(module, gnn.JumpingKnowledge):
            return self.jumping_knowledge(module, node)
        if kind not in LAYERS:
            raise ExportError(unknown(kind))
        entry, args, nested = described(module)
        arguments = bound(module, node)
        inputs, given = [], {}
        for name in entry.inputs:
            argument = arguments.pop(name, None)
            if argument is not None and self.resolved(argument) != Constant(None):
                self.channels(argument)
                given[name] = argument
                inputs.append(self.value(argument))
        layer = entry.name or kind.__name__
        self.check_arguments(layer, entry, arguments)
        if layer in ("Softmax", "LogSoftmax"):
            self.check_last(module.dim, given["input"])
        dropped = entry.unused(module)
        if isinstance(module, gnn.MessagePassing):
            args |= message_passing(module, entry)
            if args.get("edge_dim") is None and "edge_attr" in given and layer in ("GATConv", "GATv2Conv"):
                inputs.pop()  # PyTorch Geometric ignores it
            elif args.get("edge_dim") is None and "edge_attr" in given and layer == "TransformerConv":
                raise ExportError("it is given edge attributes, but was made without edge_dim")
            elif args.get("edge_dim") is not None and "edge_attr" not in given:
                args, dropped = args | {"edge_dim": None}, (*dropped, "lin_edge", "att_edge")
            if "fill_value" in args:
                args |= {"fill_value": fill_value(args)}
            if "edge_weight" in given and self.channels(given["edge_weight"]) != 1:
                raise ExportError(f"its edge weights have {self.channels(given['edge_weight'])} channels, and one is supported")
        if isinstance(module, nn.GRUCell) and "hx" not in given:
            raise ExportError("it is called without a hidden state")
        return self.add_module(node, module, layer, entry, args, inputs, nested, dropped)

    def add_module(self, node, module, layer, entry, args, inputs, nested, dropped):
        prefix = user_name(node.target) or "module"
        weights = prefix + (f".{entry.tensors}" if entry.tensors else "")
        skipped = (*dropped, *nested)
        for key, tensor in tensors_of(module, entry).items():
            if key.split(".")[0] not in skipped:
                self.tensors[f"{weights}.{key}"] = tensor
        for name, (rows, tensors, *_) in nested.items():
            for key, tensor in tensors.items():
                self.tensors[f"{weights}.{joined(name, key)}"] = tensor
            args[name] = [row | ({"weights": joined(name, row["weights"])} if "weights" in row else {}) for row in rows]
        held = any(key.startswith(f"{weights}.") for key in self.tensors)
        out = self.add(prefix, layer, args, inputs, weights if held else None)
        if entry.outputs == 1:
            return out
        more = [Value(f"{out.name}.{i}") for i in range(1, entry.outputs)]
        self.names.update(value.name for value in more)
        return Pieces((out, *more))

    def check_arguments(self, layer, entry, arguments):
        """The arguments of a call that are no values."""
        for name, argument in arguments.items():
            if name in entry.ignored:
                continue
            if name == "edge_index" and self.env.get(argument) != Structure("edge_index"):
                origin = self.env[argument].reason if isinstance(self.env.get(argument), Refusal) else "it is made otherwise"
                raise ExportError(f"its edge_index is not the one that forward was given ({origin})")
            found = self.resolved(argument)
            if name == "index" and layer in POOLS and found in (Structure("batch"), Constant(None)):
                continue
            if name != "edge_index" and found != Constant(None):
                raise ExportError(f"its argument {name} cannot be expressed")

    def jumping_knowledge(self, module, node):
        if module.mode == "lstm":
            raise ExportError('mode="lstm" cannot be expressed; "cat" and "max" can')
        parts = [self.value(part) for part in bound(module, node)["xs"]]
        name = user_name(node.target)
        return self.add(name, {"cat": "Cat", "max": "Max"}[module.mode], {}, parts) if len(parts) > 1 else parts[0]


def joined(name, relative):
    """The name of a tensor or prefix in a nested network, whose root has the name `module` where it is one layer."""
    head, _, rest = relative.partition(".")
    if head == "module":
        return f"{name}.{rest}" if rest else name
    return f"{name}.{relative}"
