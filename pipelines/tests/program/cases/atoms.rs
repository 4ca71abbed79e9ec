//! Trajectories and structures as chemists have them: other units, hydrogens left out, ions, cells, folders.

use std::fmt::Write as _;

use super::{Case, Done, Verdict, case, check};
use crate::molecules::ETHANOL;

/// A frame of ethanol as XYZ, lengths multiplied.
fn ethanol(comment: &str, scale: f64) -> String {
    let mut text = format!("9\n{comment}\n");
    for (symbol, [x, y, z]) in ETHANOL {
        writeln!(text, "{symbol} {} {} {}", x * scale, y * scale, z * scale).unwrap();
    }
    text
}

/// The same as a molfile of the first `atoms`, with bonds and a line of properties.
fn molfile(atoms: usize, properties: &str) -> String {
    let bonds: Vec<_> = [(1, 2), (2, 3), (1, 4), (1, 5), (1, 6), (2, 7), (2, 8), (3, 9)]
        .into_iter()
        .filter(|(_, end)| *end <= atoms)
        .collect();
    let mut text =
        format!("ethanol\n  made           3D\n\n{atoms:3}{:3}  0  0  0  0  0  0  0  0999 V2000\n", bonds.len());
    for (symbol, [x, y, z]) in &ETHANOL[..atoms] {
        writeln!(text, "{x:10.4}{y:10.4}{z:10.4} {symbol:<3} 0  0").unwrap();
    }
    for (a, b) in bonds {
        writeln!(text, "{a:3}{b:3}  1  0").unwrap();
    }
    text + properties + "M  END\n$$$$\n"
}

/// The same atoms in V3000, whose indices are any numbers.
fn v3000(atoms: usize, charge: &str) -> String {
    let mut text = format!(
        "ethanol\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS {atoms} 8 0 0 0\nM  V30 BEGIN ATOM\n"
    );
    for (i, (symbol, [x, y, z])) in ETHANOL[..atoms].iter().enumerate() {
        let more = if i == 2 { charge } else { "" };
        writeln!(text, "M  V30 {} {symbol} {x} {y} {z} 0{more}", 10 * i + 7).unwrap();
    }
    text += "M  V30 END ATOM\nM  V30 BEGIN BOND\n";
    for (n, (a, b)) in [(0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8)].into_iter().enumerate() {
        if b < atoms {
            writeln!(text, "M  V30 {} 1 {} {}", n + 1, 10 * a + 7, 10 * b + 7).unwrap();
        }
    }
    text + "M  V30 END BOND\nM  V30 END CTAB\nM  END\n$$$$\n"
}

fn qm7(name: &str, file: &str, text: String) -> Case {
    case(name, format!("run molecule --model qm7 --output o.csv --input {file}")).file(file, text)
}

#[test]
fn molecules_in_other_units_or_without_their_hydrogens_are_said() {
    check([
        qm7("ångströms", "a.xyz", ethanol("", 1.0)).quiet(),
        qm7("bohr", "a.xyz", ethanol("", 1.889_726)).says(&["a.xyz: line 1:", "bohr"]).inspect_says_too("a.xyz"),
        qm7("charge", "a.xyz", ethanol("charge=-1", 1.0)).says(&["a.xyz: line 2:", "charge of -1"]),
        qm7("no charge", "a.xyz", ethanol("charge=0", 1.0)).quiet(),
        qm7("all hydrogens", "a.sdf", molfile(9, "")).quiet(),
        qm7("heavy atoms", "a.sdf", molfile(3, "")).says(&["a.sdf: line 5:", "hydrogens"]).inspect_says_too("a.sdf"),
        qm7("one too few", "a.sdf", molfile(8, "")).quiet(),
        qm7("a carbon too few", "a.sdf", molfile(7, "")).says(&["line 6:", "bonds of order 3"]),
        qm7("an ion", "a.sdf", molfile(8, "M  CHG  1   3  -1\n")).says(&["charge of -1"]),
        qm7("a zwitterion", "a.sdf", molfile(7, "M  CHG  2   3  -1   1   1\n")).quiet(),
        qm7("a radical", "a.sdf", molfile(7, "M  RAD  1   2   2\n")).quiet(),
        qm7("V3000", "a.sdf", v3000(9, "")).quiet(),
        qm7("V3000, heavy atoms", "a.sdf", v3000(3, "")).says(&["a.sdf: line 8:", "hydrogens"]),
        qm7("V3000, an ion", "a.sdf", v3000(9, " CHG=1")).says(&["charge of +1"]),
    ]);
}

#[test]
fn a_cell_is_meant_where_it_repeats_and_a_molecule_is_to_be_alone_in_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let at = folder.path();
    let rows = |comment: &str| {
        std::fs::write(at.join("a.xyz"), ethanol(comment, 1.0)).unwrap();
        let done = super::run(at, "run molecule --input a.xyz --output o.csv", &[]);
        assert_eq!(done.code, Some(0), "{comment}: {}", done.stderr);
        (std::fs::read_to_string(at.join("o.csv")).unwrap(), done.stderr)
    };
    let alone = rows("");
    for comment in [
        r#"Lattice="20 0 0 0 20 0 0 0 20" pbc="T T T""#,
        r#"Lattice="20 0 0 0 0 0 0 0 0" pbc="T F F""#,
        r#"Lattice="0 0 0 3 20 1 0 0 0" pbc="F T F""#,
        r#"Lattice="20 0 0 5 20 0 0 0 0" pbc="T T F""#,
        r#"Lattice="0 0 0 20 0 0 0 0 25" pbc="F T T""#,
        r#"Lattice="1 0 0 0 1 0 0 0 1" pbc="F F F""#,
    ] {
        assert_eq!(rows(comment), alone, "{comment}");
    }
    let (crowded, said) = rows(r#"Lattice="6 0 0 0 20 0 0 0 20" pbc="T T T""#);
    assert_ne!(crowded, alone.0);
    assert!(said.contains("images of themselves"), "{said}");
    // A box of thousands of atoms that no model knows is refused at once.
    let mut water = "12000\nLattice=\"62 0 0 0 62 0 0 0 62\" pbc=\"T T T\"\n".to_string();
    for i in 0..4000 {
        let [x, y, z] = [i % 16, i / 16 % 16, i / 256].map(|n| 3.1 * f64::from(n));
        write!(water, "O {x} {y} {z}\nH {} {y} {z}\nH {x} {} {z}\n", x + 0.96, y + 0.96).unwrap();
    }
    std::fs::write(at.join("water.xyz"), water).unwrap();
    let done = super::run(at, "run molecule --input water.xyz --output o.csv", &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("elements of the molecule"), "{}", done.stderr);
    assert!(done.took < std::time::Duration::from_secs(10), "took {:?}", done.took);
}

#[test]
fn true_energies_in_another_unit_are_told_by_their_size() {
    // The model's own answer is the truth.
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.xyz"), ethanol("", 1.0)).unwrap();
    let done = super::run(folder.path(), "run molecule --input a.xyz --output o.jsonl", &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let row: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("o.jsonl")).unwrap()).unwrap();
    let energy = row["energy"].as_f64().unwrap();
    let forces: Vec<f64> = row["forces"].as_array().unwrap().iter().map(|f| f.as_f64().unwrap()).collect();
    let labelled = |comment: &str, factor: f64| {
        let mut text = format!("9\nProperties=species:S:1:pos:R:3:forces:R:3 {comment}\n");
        for ((symbol, [x, y, z]), force) in ETHANOL.iter().zip(forces.chunks(3)) {
            let [a, b, c] = [0, 1, 2].map(|axis| force[axis] * factor);
            writeln!(text, "{symbol} {x} {y} {z} {a} {b} {c}").unwrap();
        }
        text
    };
    let eval = |name: &str, comment: String, factor: f64| {
        case(name, "eval molecule --json --input a.xyz").file("a.xyz", labelled(&comment, factor))
    };
    let right = |done: &Done| -> Verdict {
        let json = done.json()?;
        let mae = |what: &str| json[what]["mae"].as_f64().unwrap_or(f64::NAN);
        if mae("energies") < 1e-6 && mae("forces") < 1e-5 { Ok(()) } else { Err(format!("found {json}")) }
    };
    let (kcal, hartree) = (96_485.332_123_31 / 4184.0, 1.0 / 27.211_386_245_988);
    check([
        eval("eV", format!("energy={energy}"), 1.0).quiet().judge(right),
        eval("unit said", format!("energy={} unit=kcal/mol", energy * kcal), kcal).quiet().judge(right),
        eval("in other letters", format!("energy={} Unit=Kcal/Mol", energy * kcal), kcal).quiet().judge(right),
        eval("under another key", format!("energy={energy} energy_units=eV"), 1.0).says(&["line 2:", "only unit is"]),
        eval("kcal/mol, not said", format!("energy={}", energy * kcal), kcal).says(&["kcal/mol", "unit="]),
        eval("hartree, not said", format!("energy={}", energy * hartree), hartree).says(&["hartree", "unit="]),
        eval("the other sign", format!("energy={}", -energy), 1.0).says(&["other sign"]),
        eval("forces alone", String::new(), hartree * 0.529_177).says(&["hartree/bohr"]),
    ]);
}

#[cfg(unix)]
#[test]
fn a_folder_of_molecules_is_drawn_and_a_link_to_nothing_in_it_is_said() {
    let folder = tempfile::TempDir::new().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("m")).unwrap();
    std::fs::write(at.join("m/2.xyz"), ethanol("", 1.0)).unwrap();
    let done = super::run(at, "draw m --output m.png", &[]);
    assert_eq!((done.code, at.join("m.png").is_file()), (Some(0), true), "{}", done.stderr);
    std::os::unix::fs::symlink("nowhere.xyz", at.join("m/1.xyz")).unwrap();
    let done = super::run(at, "run molecule --input m --output o.csv", &[]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("m/1.xyz"), "{}", done.stderr);
    let done = super::run(at, "run molecule --input m --output o.csv --on-error skip --json", &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.json().unwrap()["dropped"], serde_json::json!({"unreadable": 1}));
}

#[test]
fn a_model_with_other_columns_does_not_go_on_from_a_checkpoint() {
    let run = "run molecule --input a.xyz --output out/ --checkpoint ck";
    check([case("rmd17, then qm7", format!("{run} --model qm7 --allow-model-change"))
        .file("a.xyz", ethanol("", 1.0))
        .after(run)
        .code(&[78])
        .says(&["found one that gives the columns frame, value, unit", "expected frame, energy, forces"])
        .judge(|done| {
            let read = super::run(&done.at, "read out/ --output o.csv", &[]);
            if read.code == Some(0) && done.table("o.csv")?.len() == 1 { Ok(()) } else { Err(read.stderr) }
        })]);
}
