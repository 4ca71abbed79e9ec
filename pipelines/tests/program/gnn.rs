//! `gnn` from outside: a network small enough to reckon by hand, over edges and nodes as people have them.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::{code, json, thalweg};

/// `y_i = 10 x_i + Σ_j w_ij x_j`, w = 1 where the network takes no attributes.
fn model(
    path: &Path,
    weighted: bool,
    change: impl FnOnce(&mut serde_json::Value, &mut HashMap<String, (Vec<usize>, Vec<f32>)>),
) {
    let inputs = if weighted { serde_json::json!(["x", "edge_attr"]) } else { serde_json::json!(["x"]) };
    let mut metadata = serde_json::json!({
        "architecture": "layers", "version": 1, "inputs": {"x": 1}, "output": "conv",
        "steps": [{"name": "conv", "layer": "GraphConv", "args": {"in_channels": 1, "out_channels": 1}, "inputs": inputs}],
    });
    if weighted {
        metadata["inputs"]["edge_attr"] = 1.into();
    }
    let mut tensors: HashMap<String, (Vec<usize>, Vec<f32>)> = HashMap::new();
    tensors.insert("conv.lin_rel.weight".into(), (vec![1, 1], vec![1.0]));
    tensors.insert("conv.lin_rel.bias".into(), (vec![1], vec![0.0]));
    tensors.insert("conv.lin_root.weight".into(), (vec![1, 1], vec![10.0]));
    change(&mut metadata, &mut tensors);
    let bytes: HashMap<&String, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, (shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, bytes))| (name.to_string(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = HashMap::from([("thalweg".to_string(), metadata.to_string())]);
    fs::write(path, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
}

const EDGES: &str = "t,src,dst\n1,a,b\n2,b,c\n3,c,a\n4,a,c\n";
const NODES: &str = "t,node,value\n0,a,1\n0,b,2\n0,c,4\n";

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    model(&folder.path().join("net.safetensors"), false, |_, _| {});
    model(&folder.path().join("weighted.safetensors"), true, |_, _| {});
    fs::write(folder.path().join("edges.csv"), EDGES).unwrap();
    fs::write(folder.path().join("nodes.csv"), NODES).unwrap();
    folder
}

/// Runs over the two tables of `folder` with more arguments; the rows of the output.
#[track_caller]
fn rows(folder: &Path, more: &str) -> String {
    let line = format!("run gnn --edges edges.csv --nodes nodes.csv --model net.safetensors --output y.csv {more}");
    code(&line.split_whitespace().collect::<Vec<_>>(), folder, 0);
    unquoted(&folder.join("y.csv"))
}

/// A CSV file without the quotes around its lists.
fn unquoted(path: &Path) -> String {
    fs::read_to_string(path).unwrap().replace('"', "")
}

#[test]
fn rows_are_those_of_the_graph_as_of_each_time() {
    let folder = folder();
    // As of 4: b hears a, c hears a and b, a hears c.
    assert_eq!(rows(folder.path(), ""), "as_of,node,y\n4,a,[14.0]\n4,b,[21.0]\n4,c,[43.0]\n");
    assert_eq!(rows(folder.path(), "--as-of 2"), "as_of,node,y\n2,a,[10.0]\n2,b,[21.0]\n2,c,[42.0]\n");
    let both = "as_of,node,y\n4,a,[16.0]\n4,b,[25.0]\n4,c,[43.0]\n";
    assert_eq!(rows(folder.path(), "--set undirected=true"), both);
    let windowed = "as_of,node,y\n4,a,[14.0]\n4,b,[20.0]\n4,c,[41.0]\n";
    assert_eq!(rows(folder.path(), "--set window=1"), windowed);
    let every = rows(folder.path(), "--every 2");
    let expected = "as_of,node,y\n0,a,[10.0]\n0,b,[20.0]\n0,c,[40.0]\n2,a,[10.0]\n2,b,[21.0]\n2,c,[42.0]\n\
        4,a,[14.0]\n4,b,[21.0]\n4,c,[43.0]\n";
    assert_eq!(every, expected);
    let changes = rows(folder.path(), "--every 2 --set emit=changes");
    let expected = "as_of,node,y,diff\n0,a,[10.0],1\n0,b,[20.0],1\n0,c,[40.0],1\n2,b,[20.0],-1\n2,b,[21.0],1\n\
        2,c,[40.0],-1\n2,c,[42.0],1\n4,a,[10.0],-1\n4,a,[14.0],1\n4,c,[42.0],-1\n4,c,[43.0],1\n";
    assert_eq!(changes, expected);
}

#[test]
fn edges_go_and_come_back_and_attributes_are_those_of_the_last_row() {
    let folder = folder();
    let run = |edges: &str, nodes: &str| {
        fs::write(folder.path().join("e.csv"), edges).unwrap();
        fs::write(folder.path().join("n.csv"), nodes).unwrap();
        let line = "run gnn --edges e.csv --nodes n.csv --model weighted.safetensors --output w.csv --json";
        let output = thalweg(&line.split(' ').collect::<Vec<_>>(), folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows = unquoted(&folder.path().join("w.csv"));
        (rows.replace("as_of,node,y\n", ""), json(&output)["dropped"].clone())
    };
    let (found, dropped) = run("t,src,dst,w,diff\n1,a,b,0.5,1\n2,a,b,2,1\n3,a,b,0.5,-1\n", NODES);
    assert_eq!(found, "3,a,[10.0]\n3,b,[20.5]\n3,c,[40.0]\n", "the last row says it, though it takes another back");
    assert_eq!(dropped, serde_json::json!({}));
    let (found, _) = run("t,src,dst,w,diff\n1,a,b,2,1\n2,a,b,,-1\n3,c,b,1,1\n", NODES);
    assert_eq!(found, "3,a,[10.0]\n3,b,[24.0]\n3,c,[40.0]\n");
    // What is taken back before it was; an id that no node row has; features that are taken back.
    let (found, dropped) =
        run("t,src,dst,w,diff\n1,a,b,2,-1\n2,d,b,1,1\n", "t,node,v,diff\n0,a,1,1\n1,a,,-1\n0,b,2,1\n");
    assert_eq!(found, "2,b,[20.0]\n2,d,[0.0]\n");
    assert_eq!(dropped, serde_json::json!({"no_features": 1, "unmatched": 1}));
}

#[test]
fn of_rows_of_one_edge_and_stamp_the_last_in_the_input_counts_whichever_table_came_first() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("edges")).unwrap();
    let run = |edges: &str| {
        let line = format!("run gnn --edges {edges} --nodes nodes.csv --model weighted.safetensors --output w.csv");
        code(&line.split(' ').collect::<Vec<_>>(), at, 0);
        unquoted(&at.join("w.csv")).replace("as_of,node,y\n", "")
    };
    let (two, ten) = ("t,src,dst,w\n5,a,b,2\n", "t,src,dst,w\n1,c,b,0\n5,a,b,3\n");
    let by_ten = "5,a,[10.0]\n5,b,[23.0]\n5,c,[40.0]\n";
    fs::write(at.join("edges/2.csv"), two).unwrap();
    fs::write(at.join("edges/10.csv"), ten).unwrap();
    assert_eq!(run("edges"), by_ten);
    assert_eq!(run("edges/2.csv edges/10.csv"), by_ten);
    assert_eq!(run("edges/10.csv edges/2.csv"), by_ten.replace("23", "22"));

    // A followed folder, to which the table comes last that stands first.
    fs::remove_file(at.join("edges/2.csv")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args("run gnn --edges edges --nodes nodes.csv --model weighted.safetensors --set window=9 --follow --output f.csv".split(' '))
        .current_dir(at)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(600));
    fs::write(at.join("edges/part"), two).unwrap();
    fs::rename(at.join("edges/part"), at.join("edges/2.csv")).unwrap();
    std::thread::sleep(Duration::from_millis(800));
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(unquoted(&at.join("f.csv")).replace("as_of,node,y\n", ""), by_ten);
}

#[test]
fn the_same_rows_give_the_same_bytes_in_any_order_format_and_number_of_workers() {
    let folder = folder();
    let expected = rows(folder.path(), "--every 1");
    let turned = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[1..].reverse();
        lines.join("\n") + "\n"
    };
    fs::write(folder.path().join("edges.csv"), turned(EDGES)).unwrap();
    fs::write(folder.path().join("nodes.csv"), turned(NODES)).unwrap();
    for workers in ["1", "2", "4"] {
        assert_eq!(rows(folder.path(), &format!("--every 1 --workers {workers}")), expected);
    }
    let lines = |text: &str, keys: [&str; 3]| -> String {
        let line = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let last = if keys[2] == "x" { format!("[{}]", cells[2]) } else { format!("\"{}\"", cells[2]) };
            format!("{{\"{}\": {}, \"{}\": \"{}\", \"{}\": {last}}}\n", keys[0], cells[0], keys[1], cells[1], keys[2])
        };
        text.lines().skip(1).map(line).collect()
    };
    fs::write(folder.path().join("e.jsonl"), lines(EDGES, ["t", "src", "dst"])).unwrap();
    fs::write(folder.path().join("n.jsonl"), lines(NODES, ["t", "node", "x"])).unwrap();
    fs::write(
        folder.path().join("n.csv"),
        NODES.replace("value", "x").replace(",1\n", ",[1]\n").replace(",2\n", ",[2.0]\n").replace(",4\n", ",[4]\n"),
    )
    .unwrap();
    fs::write(
        folder.path().join("n;.csv"),
        NODES.replace(",1\n", ",\"1,0\"\n").replace(',', ";").replace("\"1;0\"", "1,0"),
    )
    .unwrap();
    for (edges, nodes) in [("e.jsonl", "n.jsonl"), ("edges.csv", "n.csv"), ("e.jsonl", "n;.csv")] {
        let run = [
            "run",
            "gnn",
            "--edges",
            edges,
            "--nodes",
            nodes,
            "--model",
            "net.safetensors",
            "--every",
            "1",
            "--output",
            "z.csv",
        ];
        code(&run, folder.path(), 0);
        assert_eq!(unquoted(&folder.path().join("z.csv")), expected, "{edges} {nodes}");
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused_with_both_numbers() {
    let folder = folder();
    let at = folder.path();
    let run = |edges: &str, nodes: &str, model: &str, exit: i32| {
        code(&["run", "gnn", "--edges", edges, "--nodes", nodes, "--model", model, "--output", "y.csv"], at, exit)
    };
    fs::write(at.join("two.csv"), "t,node,v,w\n0,a,1,2\n").unwrap();
    let says = run("edges.csv", "two.csv", "net.safetensors", 78);
    assert!(says.contains("found 2 columns of features") && says.contains("expected 1 as the model takes"), "{says}");
    fs::write(at.join("lists.jsonl"), "{\"t\": 0, \"node\": \"a\", \"x\": [1, 2, 3]}\n").unwrap();
    let says = run("edges.csv", "lists.jsonl", "net.safetensors", 78);
    assert!(says.contains("lists of 3 features") && says.contains("expected 1"), "{says}");
    let says = run("edges.csv", "nodes.csv", "weighted.safetensors", 78);
    assert!(says.contains("found 0 columns of attributes") && says.contains("expected 1"), "{says}");
    assert!(!at.join("y.csv").exists());

    let says = code(&["run", "gnn", "--edges", "edges.csv", "--output", "y.csv"], at, 78);
    assert!(says.contains("model: found none"), "{says}");
    run("edges.csv", "nodes.csv", "gone.safetensors", 1);
    fs::write(at.join("torn.safetensors"), b"no model").unwrap();
    run("edges.csv", "nodes.csv", "torn.safetensors", 1);
    let whole = fs::read(at.join("net.safetensors")).unwrap();
    fs::write(at.join("torn.safetensors"), &whole[..whole.len() - 1]).unwrap();
    run("edges.csv", "nodes.csv", "torn.safetensors", 1);
    type Change = fn(&mut serde_json::Value, &mut HashMap<String, (Vec<usize>, Vec<f32>)>);
    let changes: [(Change, &str); 5] = [
        (|_, t| t.get_mut("conv.lin_rel.bias").unwrap().1[0] = f32::NAN, "conv.lin_rel.bias"),
        (|_, t| drop(t.remove("conv.lin_root.weight")), "conv.lin_root.weight"),
        (|_, t| drop(t.insert("conv.more".into(), (vec![1], vec![0.0]))), "conv.more"),
        (|_, t| drop(t.insert("conv.lin_rel.bias".into(), (vec![2], vec![0.0; 2]))), "conv.lin_rel.bias"),
        (|m, _| m["steps"][0]["layer"] = "GraphNorm".into(), "GraphNorm"),
    ];
    for (change, names) in changes {
        model(&at.join("bad.safetensors"), false, change);
        let says = run("edges.csv", "nodes.csv", "bad.safetensors", 78);
        assert!(says.contains(names), "{names}: {says}");
    }
}

#[test]
fn columns_are_those_of_their_names_in_every_table_and_labels_must_be_there() {
    let folder = folder();
    let at = folder.path();
    // y = age + 100 balance.
    model(&at.join("two.safetensors"), false, |m, t| {
        m["inputs"]["x"] = 2.into();
        m["steps"][0]["args"]["in_channels"] = 2.into();
        t.insert("conv.lin_rel.weight".into(), (vec![1, 2], vec![0.0, 0.0]));
        t.insert("conv.lin_root.weight".into(), (vec![1, 2], vec![1.0, 100.0]));
    });
    fs::write(at.join("one.csv"), "t,node,age,balance\n1,a,3,5\n").unwrap();
    fs::write(at.join("two.csv"), "t,node,Balance,age\n1,b,5,3\n").unwrap();
    let run = |more: &str, exit: i32| {
        let line = format!(
            "run gnn --edges edges.csv --nodes one.csv two.csv --model two.safetensors --as-of 1 --output y.csv {more}"
        );
        code(&line.split_whitespace().collect::<Vec<_>>(), at, exit)
    };
    run("", 0);
    assert_eq!(unquoted(&at.join("y.csv")), "as_of,node,y\n1,a,[503.0]\n1,b,[503.0]\n");
    let says = run("--set label=class", 78);
    assert!(says.contains("label: found class"), "{says}");
    let line = "run gnn --edges edges.csv --nodes nodes.csv --model net.safetensors --as-of=-5 --output y.csv";
    let says = code(&line.split(' ').collect::<Vec<_>>(), at, 0);
    assert!(says.contains("--as-of: found -5 s, before all rows: the first is at 0 s"), "{says}");
}

#[test]
fn rows_that_cannot_be_read_are_counted_and_kept_apart() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("edges.csv"), format!("{EDGES}x,a,b\n5,,b\n6,a\n")).unwrap();
    fs::write(at.join("nodes.csv"), format!("{NODES}1,a,much\n1,b,\n1,c,inf\n")).unwrap();
    let run = [
        "run",
        "gnn",
        "--edges",
        "edges.csv",
        "--nodes",
        "nodes.csv",
        "--model",
        "net.safetensors",
        "--output",
        "y.csv",
        "--json",
    ];
    let output = thalweg(&run, at);
    assert!(output.status.success());
    assert_eq!(json(&output)["dropped"], serde_json::json!({"malformed": 6}));
    let rejected = fs::read_to_string(at.join("y.csv.rejected.csv")).unwrap();
    assert_eq!(rejected.lines().count(), 7, "{rejected}");
    assert!(
        rejected.contains("nodes.csv,5,\"features: found \"\"much\"\", expected a finite number each\""),
        "{rejected}"
    );
    assert!(unquoted(&at.join("y.csv")).ends_with("4,a,[14.0]\n4,b,[21.0]\n4,c,[43.0]\n"));
    fs::write(at.join("edges.csv"), "t,src,dst\nx,a,b\n").unwrap();
    fs::write(at.join("nodes.csv"), "t,node,v\ny,a,1\n").unwrap();
    fs::remove_file(at.join("y.csv")).unwrap();
    let says = code(&run[..run.len() - 1], at, 1);
    assert!(says.contains("found nothing that could be used"), "{says}");
    assert!(!at.join("y.csv").exists());
}

#[test]
fn a_followed_run_gives_what_one_over_the_whole_gives() {
    let folder = folder();
    let at = folder.path();
    let expected = rows(at, "--every 2");
    fs::write(at.join("edges.csv"), "t,src,dst\n1,a,b\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args("run gnn --edges edges.csv --nodes nodes.csv --model net.safetensors --every 2 --set emit=changes --follow --output d.csv".split(' '))
        .current_dir(at)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // The last row stands late in its file.
    for line in ["2,b,c\n", "4,a,c\n", "3,c,a\n"] {
        std::thread::sleep(Duration::from_millis(300));
        fs::OpenOptions::new().append(true).open(at.join("edges.csv")).unwrap().write_all(line.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(400));
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    assert!(child.wait().unwrap().success());
    // Differences up to each time add up to the table there.
    let text = unquoted(&at.join("d.csv"));
    let mut tables = String::from("as_of,node,y\n");
    for as_of in [0, 2, 4] {
        let mut sums: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
        for line in text.lines().skip(1) {
            let (t, rest) = line.split_once(',').unwrap();
            let (row, diff) = rest.rsplit_once(',').unwrap();
            if t.parse::<i64>().unwrap() <= as_of {
                *sums.entry(row).or_default() += diff.parse::<i64>().unwrap();
            }
        }
        sums.retain(|_, n| *n != 0);
        assert!(sums.values().all(|n| *n == 1), "{text}");
        sums.keys().for_each(|row| tables += &format!("{as_of},{row}\n"));
    }
    assert_eq!(tables, expected);
}

#[test]
fn labels_are_compared_with_the_largest_output() {
    let folder = folder();
    let at = folder.path();
    // Two outputs: 10 x and 0; a node is of class 0 if its own value is positive.
    model(&at.join("two.safetensors"), false, |metadata, tensors| {
        metadata["steps"][0]["args"]["out_channels"] = 2.into();
        tensors.insert("conv.lin_rel.weight".into(), (vec![2, 1], vec![0.0, 0.0]));
        tensors.insert("conv.lin_rel.bias".into(), (vec![2], vec![0.0, 0.0]));
        tensors.insert("conv.lin_root.weight".into(), (vec![2, 1], vec![10.0, 0.0]));
    });
    fs::write(at.join("labelled.csv"), "t,node,value,label\n0,a,1,0\n0,b,-1,1\n0,c,3,1\n0,d,1,\n0,e,2,-1\n").unwrap();
    let eval = |more: &[&str]| {
        let line =
            ["eval", "gnn", "--edges", "edges.csv", "--nodes", "labelled.csv", "--model", "two.safetensors", "--json"];
        let output = thalweg(&[&line[..], more].concat(), at);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    };
    let scores = eval(&[]);
    assert_eq!((scores["nodes"].as_u64(), scores["accuracy"].as_f64()), (Some(3), Some(2.0 / 3.0)));
    // F1 of both classes: 2·1 / (1 + 2).
    assert!((scores["macro_f1"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(scores["confusion"], serde_json::json!([[1, 0], [1, 1]]));
    fs::write(at.join("truth.csv"), "node,label\nc,0\n").unwrap();
    let scores = eval(&["--truth", "truth.csv", "--set", "label=label"]);
    assert_eq!(scores["accuracy"].as_f64(), Some(1.0));
}

#[test]
fn inspect_and_list_know_graphs_and_layers() {
    let folder = folder();
    let inspect = |name: &str| json(&thalweg(&["inspect", name, "--json"], folder.path()));
    let found = inspect("edges.csv");
    assert_eq!((found["what"].as_str(), found["rows"].as_u64()), (Some("table of edges, an input of `gnn`"), Some(4)));
    let found = inspect("nodes.csv");
    assert_eq!(found["what"].as_str(), Some("table of nodes, an input of `gnn`, 1 features each"));
    rows(folder.path(), "");
    assert_eq!(inspect("y.csv")["what"].as_str(), Some("a network's rows written by `run gnn`"));
    let layers = String::from_utf8(thalweg(&["list", "layers"], folder.path()).stdout).unwrap();
    for name in ["GCNConv", "SAGEConv", "GATv2Conv", "GINEConv", "EdgeConv"] {
        assert!(layers.lines().any(|line| line.split_whitespace().nth(1) == Some(name)), "{layers}");
    }
    assert!(layers.contains("refused    GraphNorm"), "{layers}");
}
