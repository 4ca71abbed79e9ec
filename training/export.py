"""Writes a trained network of PyTorch Geometric as a file that `thalweg run gnn --model` reads.

    from export import export
    export(module, "network.safetensors", columns=["age", "balance"])

`module.forward(x, edge_index[, edge_attr | edge_weight][, batch])` is traced, and each call becomes a step of the file; see
`README.md` for the format. What the file cannot express is an `ExportError` that names the module or function, and where.
"""

import copy
import json
import warnings

import torch
from safetensors.torch import save_file
from torch.nn.utils import parametrize

from export_layers import LAYERS, ExportError
from export_steps import Steps, check_layers, check_modules, wanted_channels, widths_of
from export_trace import INPUTS, Root, arguments_of, probe, sizes_of, small_graph, trace

__all__ = ["ExportError", "export"]


def export(module, path, *, columns=None, edge_columns=None, licence=None, trained_on=None):
    """Writes `module` to `path`, as it is in `eval()`; the module itself stays as it is.

    `columns` and `edge_columns` name the columns of the tables of nodes and edges, in the order of the channels. A network
    whose `forward` takes edge weights or attributes as an option (`edge_weight=None`) is exported with them where its layers
    ask for them or `edge_columns` is given. Returns the description that was written.
    """
    if not isinstance(module, torch.nn.Module):
        raise ExportError(f"{type(module).__name__} is no torch.nn.Module")
    module = prepared(module)
    arguments = arguments_of(module, with_edges=edge_columns is not None or asks_for_edges(module))
    graph = trace(Root(module, arguments))
    check_modules(graph)
    placeholders = {node.name: node for node in graph.graph.nodes if node.op == "placeholder"}
    edges = [name for name in ("edge_attr", "edge_weight") if placeholders[name].users]
    if len(edges) > 1:
        raise ExportError("forward uses both edge_weight and edge_attr; take one edge_attr and slice it, as in edge_attr[:, :1]")
    channels = {"x": channels_of(graph, placeholders["x"], columns, "columns")}
    if edges:
        channels["edge_attr"] = channels_of(graph, placeholders[edges[0]], edge_columns, "edge_columns")
    elif edge_columns is not None:
        raise ExportError("edge_columns are given, but forward uses no edge attributes")
    steps = Steps(graph, values_of(module, graph, channels, edges))
    output = steps.run()
    description = {"architecture": "layers", "version": 1, "inputs": channels}
    names = {"x": columns, "edge_attr": edge_columns}
    names = {key: list(value) for key, value in names.items() if value is not None}
    if names:
        description["columns"] = names
    used = needed(steps.steps, output.name)
    description |= {"steps": used, "output": output.name}
    description |= {key: text for key, text in (("licence", licence), ("trained_on", trained_on)) if text is not None}
    prefixes = tuple(f"{step.get('weights', step['name'])}." for step in used)
    tensors = {key: plain(key, tensor) for key, tensor in steps.tensors.items() if key.startswith(prefixes)}
    save_file(tensors, path, metadata={"thalweg": json.dumps(description, allow_nan=False)})
    return description


def prepared(module):
    """A copy in `eval()`, without caches and with parametrisations worked out."""
    module = copy.deepcopy(getattr(module, "_orig_mod", module)).eval()
    for name, tensor in module.named_parameters():
        if isinstance(tensor, torch.nn.parameter.UninitializedParameter):
            raise ExportError(f"{name} has no shape yet: run the network once on your data before the export")
    for name, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:
            raise ExportError(f"{type(part).__name__} `{name}` has hooks, which the file cannot express")
        for cache in ("_cached_edge_index", "_cached_adj_t"):
            if getattr(part, cache, None) is not None:
                setattr(part, cache, None)
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):
                parametrize.remove_parametrizations(part, name)
    for part in module.modules():
        for name, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            if torch.is_floating_point(tensor) and tensor.dtype != torch.float32:
                keep = tensor.detach()
                tensor.data = keep.float()
                if keep.dtype == torch.float64 and not torch.equal(tensor.data.double(), keep):
                    warnings.warn(f"{name}: f64 weights are rounded to f32", stacklevel=3)
    return module.cpu()


def asks_for_edges(module):
    """Whether a layer of the network was made for edge attributes."""
    for part in module.modules():
        if type(part) not in LAYERS or "edge_attr" not in LAYERS[type(part)].inputs:
            continue
        try:
            widths = widths_of(part)
        except ExportError:
            continue  # it is refused by name where forward calls it
        if "edge_attr" in widths:
            return bool(widths["edge_attr"])
    return False


def channels_of(graph, placeholder, columns, option):
    wanted = wanted_channels(graph, placeholder)
    if columns is None and wanted is None:
        check_layers(graph)
        raise ExportError(f"no layer says how many channels {placeholder.name} has; name them with {option}=[...]")
    if columns is not None and wanted is not None and len(columns) != wanted:
        raise ExportError(f"{option} has {len(columns)} names, and the network takes {wanted} channels")
    return wanted if columns is None else len(columns)


def values_of(module, graph, channels, edges):
    """Every value of `forward` on two small graphs, with edge attributes in a shape that the network takes."""
    width = channels.get("edge_attr", 1)
    shapes = [(width,)] + ([()] if width == 1 else [])
    failure = None
    for shape in reversed(shapes) if edges == ["edge_weight"] else shapes:
        try:
            return probe(graph, [small_graph(sizes, channels["x"], shape) for sizes in sizes_of(module)])
        except ExportError as error:
            failure = failure or error
    raise failure


def needed(steps, output):
    """The steps that the output depends on."""
    wanted, out = {output}, []
    for step in reversed(steps):
        name = step["name"]
        if any(value == name or value.startswith(f"{name}.") and value[len(name) + 1:].isdigit() for value in wanted):
            wanted.update(step["inputs"])
            out.append(step)
    return out[::-1]


def plain(name, tensor):
    """A tensor as it is written: f32, with no memory of another."""
    out = tensor.detach().to(torch.float32).contiguous().clone()
    if not torch.isfinite(out).all():
        raise ExportError(f"tensor {name} holds NaN or an infinity")
    return out
