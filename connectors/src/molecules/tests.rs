//! The readers against what ASE and RDKit read, against hand-made faults, and against damaged files.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::checks::{NEAREST, overlap, spans};
use super::lines::{LONGEST, real};
use super::{Format, Molecule, MoleculeError, Reader, open};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/molecules")
}

fn format(name: &str) -> Format {
    if name.contains("xyz") { Format::Xyz } else { Format::Sdf }
}

/// Frames and errors of a text, to its end, and the notes.
fn all(format: Format, text: &[u8]) -> (Vec<Result<Molecule, MoleculeError>>, Vec<String>) {
    let mut reader = Reader::new(Path::new("test"), format, text);
    let frames = std::iter::from_fn(|| reader.next().transpose()).collect();
    (frames, reader.take_notes())
}

/// Frames and errors, an error as its text with `!` where reading ends.
fn told(format: Format, text: &str) -> Vec<Result<usize, String>> {
    let mark = |e: MoleculeError| format!("{e}{}", if e.recoverable() { "" } else { "!" });
    all(format, text.as_bytes()).0.into_iter().map(|frame| frame.map(|m| m.z.len()).map_err(mark)).collect()
}

#[test]
fn frames_are_what_ase_and_rdkit_read() {
    let expected: Value = serde_json::from_slice(&std::fs::read(fixtures().join("expected.json")).unwrap()).unwrap();
    // Numbers are texts there.
    let number = |v: &Value| v.as_str().map(|text| text.parse::<f64>().unwrap());
    let vector = |v: &Value| [0, 1, 2].map(|i| number(&v[i]).unwrap());
    let rows = |v: &Value| v.as_array().map(|rows| rows.iter().map(vector).collect::<Vec<_>>());
    for (name, frames) in expected.as_object().unwrap() {
        let mut reader = Reader::new(Path::new(name), format(name), open(&fixtures().join(name)).unwrap());
        for (i, e) in frames.as_array().unwrap().iter().enumerate() {
            let molecule = Molecule {
                frame: i as i64,
                z: e["z"].as_array().unwrap().iter().map(|z| z.as_u64().unwrap() as u8).collect(),
                pos: rows(&e["pos"]).unwrap(),
                cell: rows(&e["cell"]).map(|rows| rows.try_into().unwrap()),
                pbc: [0, 1, 2].map(|i| e["pbc"][i].as_bool().unwrap()),
                energy: number(&e["energy"]),
                forces: rows(&e["forces"]),
                value: number(&e["value"]),
                name: e["name"].as_str().map(str::to_owned),
                line: e["line"].as_u64().unwrap(),
            };
            assert_eq!(reader.next().unwrap().as_ref(), Some(&molecule), "{name}, frame {i}");
        }
        assert_eq!(reader.next().unwrap(), None, "{name}");
    }
}

#[test]
fn a_fault_costs_its_frame_and_names_its_line() {
    let good = "1\n\nH 0 0 0\n";
    let frame = |header: &str, atoms: &str| format!("2\n{header}\n{atoms}\n{good}");
    let extended = "Properties=species:S:1:pos:R:3:forces:R:3";
    for (text, error) in [
        (frame("", "Xx 0 0 0\nH 0 0 1"), r#"line 3: found "Xx", expected a chemical symbol"#),
        (frame("", "H 0 0 0\n119 0 0 1"), r#"line 4: found "119", expected a chemical symbol"#),
        (frame("", "H 0 nan 0\nH 0 0 1"), r#"line 3: found "nan", expected a coordinate within 1e6 Å"#),
        (frame("", "H 0 0 0\nH 0 0 2e6"), r#"line 4: found "2e6", expected a coordinate within 1e6 Å"#),
        (frame("", "H 0 0\nH 0 0 1"), r#"line 3: found "H 0 0", expected 4 columns"#),
        (frame(extended, "H 0 0 0 0 0\nH 0 0 1 0 0 0"), r#"line 3: found "H 0 0 0 0 0", expected 7 columns"#),
        (
            frame("", "H 0 0 0\nO 0 5e-4 0"),
            "line 4: found an atom in the place of that of line 3, expected atoms 0.001 Å apart or more",
        ),
        (frame("Lattice=\"1 2 3\"", "H 0 0 0\nH 0 0 1"), r#"line 2: found Lattice="1 2 3", expected 9 numbers"#),
        (
            frame("Lattice=\"1 0 0 2 0 0 0 0 1\"", "H 0 0 0\nH 0 0 1"),
            "line 2: found a flat Lattice, expected independent vectors in periodic directions",
        ),
        (
            frame("pbc=\"T F F\"", "H 0 0 0\nH 0 0 1"),
            "line 2: found pbc without a Lattice, expected Lattice=\"9 numbers\"",
        ),
        (frame("pbc=\"T F\"", "H 0 0 0\nH 0 0 1"), r#"line 2: found pbc="T F", expected three of T and F"#),
        (
            frame("Properties=pos:R:3", "H 0 0 0\nH 0 0 1"),
            r#"line 2: found "pos:R:3", expected Properties with species:S:1 and pos:R:3"#,
        ),
        (
            frame("Properties=species:S:1:pos:R", "H 0 0 0\nH 0 0 1"),
            r#"line 2: found "pos:R", expected name:type:columns with a type of R, I, S or L"#,
        ),
        (frame("Properties=species:S:1:pos:R:2", "H 0 0 0\nH 0 0 1"), r#"line 2: found "pos:R:2", expected pos:R:3"#),
    ] {
        assert_eq!(told(Format::Xyz, &text), [Err(error.to_string()), Ok(1)], "{text}");
    }
    // Nothing says where the next frame begins.
    for (text, error) in [
        ("two\n", r#"line 1: found "two", expected a count of atoms!"#),
        ("-1\n\n", r#"line 1: found "-1", expected a count of atoms!"#),
        (
            "18446744073709551615\n\nH 0 0 0\n",
            "line 4: found the end of the file, expected the line of atom 2 of 18446744073709551615!",
        ),
        ("2\n\nH 0 0 0\n\nH 0 0 1\n", "line 4: found a blank line, expected the line of atom 2 of 2!"),
        ("2\n\nH 0 0 0\n1\n\nH 0 0 1\n", "line 4: found \"1\", expected the line of atom 2 of 2!"),
        ("2\n\nX 0 0 0\n1\n\nH 0 0 1\n", "line 3: found \"X\", expected a chemical symbol!"),
        ("0", "line 1: found the end of the file, expected a comment line!"),
    ] {
        assert_eq!(told(Format::Xyz, text), [Err(error.to_string())], "{text}");
    }
    let tolerated = "\u{feff}\n 0 \r\n\r\n\n\n1\r\nfree 'words\r\n6 1D0 -.5 +1.E-1 more\r\n\n1\n\nd 0 0 0\n  \n\n";
    assert_eq!(told(Format::Xyz, tolerated), [Ok(0), Ok(1), Ok(1)]);
    assert_eq!(told(Format::Xyz, ""), []);
}

/// A record of a counts line, atoms and what follows, and one more that is sound.
fn mol(counts: &str, atoms: &[&str], rest: &str) -> String {
    let atoms: String = atoms.iter().map(|atom| format!("{atom}\n")).collect();
    format!("\nprogram\n\n{counts}\n{atoms}{rest}\n$$$$\n\n\nlast\n  1  0  0  V2000\n 0 0 0 He\nM  END\n")
}

#[test]
fn a_record_of_an_sdf_that_fails_is_skipped() {
    let (h, o) = ("    0.0000    0.0000    1.0000 H   0  0", "    0.0000    0.0000    0.0000 O   0  0");
    let counts = "  2  1  0     0  0              1 V2000";
    let bond = "  1  2  1  0\nM  END\n>  <energy>\n-1.5\n\n> 1 <value>\nx";
    let v3 = |atoms: &str| {
        mol(
            "  0  0  0     0  0            999 V3000",
            &[],
            &format!(
                "M  V30 BEGIN CTAB\nM  V30 COUNTS 2 0\nM  V30 BEGIN ATOM\n{atoms}\nM  V30 END ATOM\nM  V30 END CTAB\nM  END"
            ),
        )
    };
    let ok = |text: &str| assert_eq!(told(Format::Sdf, text), [Ok(2), Ok(1)], "{text}");
    ok(&mol(counts, &[h, o], bond));
    ok(&mol("2 1 V2000", &["0 0 1 H", "0.0 0.0 0.0 O 0"], bond));
    // Columns that touch, and words that do not stand in theirs.
    ok(&mol(counts, &[" 1000.0000-1000.0000-1000.0000 Cl  0  0", " 0. 0. 0. D"], bond));
    ok(&v3("M  V30 7 C 0 0 0 0 CHG=1\nM  V30 9 C 0 0 1.-\nM  V30 5 0 MASS=-\nM  V30 13"));
    let four = "at most 999 atoms and bonds in V2000; larger molecules want V3000";
    for (text, error) in [
        (
            mol(counts, &[h, &o.replace('O', "*")], bond),
            "line 6: found \"*\", expected a chemical symbol, not a query".to_string(),
        ),
        (
            mol(counts, &[&h.replace('H', "R#"), o], bond),
            "line 5: found \"R#\", expected a chemical symbol, not a query".into(),
        ),
        (
            mol(counts, &[&h.replace("1.0000", "1.0x00"), o], bond),
            "line 5: found \"1.0x00\", expected a coordinate within 1e6 Å".into(),
        ),
        (mol(counts, &[h], bond), "line 6: found \"0\", expected a chemical symbol".into()),
        (mol(counts, &[h], "M  END"), "line 6: found M  END, expected the line of atom 2 of 2".into()),
        (mol(counts, &[h, o], "M  END"), "line 7: found M  END, expected the line of bond 1 of 1".into()),
        (
            mol(counts, &[h, o], "  1  3  1\nM  END"),
            "line 7: found \"  1  3  1\", expected two atoms, 1 to 2, and the type of their bond".into(),
        ),
        (
            mol(counts, &[h, h], bond),
            "line 6: found an atom in the place of that of line 5, expected atoms 0.001 Å apart or more".into(),
        ),
        (mol("1000999  0  0", &[h], bond), format!("line 4: found \"1000999  0  0\", expected {four}")),
        (mol("1000 10", &[h], bond), format!("line 4: found \"1000 10\", expected {four}")),
        (mol("  x  y V2000", &[h], bond), "line 4: found \"  x  y V2000\", expected counts of atoms and bonds".into()),
        ("a\nb\n$$$$\nx\n\n\n  1  0\n0 0 0 He\n".into(), "line 3: found \"$$$$\", expected a counts line".into()),
        (
            v3("M  V30 1 [C,N] 0 0 0 0\nM  V30 2 C 0 0 1 0"),
            "line 8: found \"[C,N]\", expected a chemical symbol, not a query".into(),
        ),
        (v3("M  V30 1 C 0 0 0 0"), "line 11: found 1 atoms, expected 2, as COUNTS says".into()),
        (v3("M  V30 1 C 0 0"), "line 8: found \"1 C 0 0\", expected index, symbol, x, y and z of an atom".into()),
        (v3("1 C 0 0 0 0"), "line 8: found \"1 C 0 0 0 0\", expected a line that begins with M  V30".into()),
    ] {
        assert_eq!(told(Format::Sdf, &text), [Err(error), Ok(1)], "{text}");
    }
    assert_eq!(
        told(Format::Sdf, "x\n\n\n"),
        [Err("line 3: found the end of the file, expected a counts line!".into())]
    );
    let cut = "x\n\n\n  2  0\n0 0 0 H\n";
    assert_eq!(
        told(Format::Sdf, cut),
        [Err("line 6: found the end of the file, expected the line of atom 2 of 2!".into())]
    );
    assert_eq!((told(Format::Sdf, ""), told(Format::Sdf, "\n\r\n\n\n\n\n")), (vec![], vec![]));
    let (frames, notes) =
        all(Format::Sdf, mol(counts, &[h, o], bond).replace("program", "  RDKit             2D").as_bytes());
    let first = frames[0].as_ref().unwrap();
    assert_eq!((first.energy, first.value, &first.name, first.line), (Some(-1.5), None, &None, 1));
    assert_eq!(frames[1].as_ref().unwrap().line, 15);
    assert_eq!(
        notes,
        [
            "line 2: the coordinates are a drawing in 2D, not a shape in space",
            "line 13: value \"x\" left out, expected a number",
        ]
    );
}

#[test]
fn what_is_odd_is_noted_once() {
    let notes = |text: &str| all(Format::Xyz, text.as_bytes()).1;
    let h2 = |comment: &str, d: f64| format!("2\n{comment}\nH 0 0 0\nH 0 0 {d}\n");
    assert_eq!(notes(&h2("", 0.74)), [""; 0]);
    assert_eq!(notes(&h2("", 0.074)), ["line 1: all distances below 0.3 Å: are these nanometres?"]);
    assert_eq!(notes(&h2("", 74.0)), ["line 1: all distances above 5 Å: are these picometres?"]);
    assert_eq!(notes(&(h2("", 0.74) + &h2("", 74.0))), [""; 0]);
    let box_ = "Lattice=\"9 0 0 0 9 0 0 0 9\"";
    assert_eq!(notes(&(h2(box_, 8.5) + &h2(box_, 8.5))), ["line 2: Lattice without pbc, read as pbc=\"T T T\""]);
    // Frames are molecules of a set, unless they are said to be one that moves.
    let two = h2("", 1.0) + "1\n\nH 0 0 0\n" + &h2("", 1.0);
    assert_eq!(notes(&two), [""; 0]);
    let mut reader = Reader::new(Path::new("test"), Format::Xyz, two.as_bytes()).of_trajectory(true);
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.take_notes(), ["line 5: 1 atoms, the frame before has 2"]);
    assert_eq!(notes(&h2("REF_energy=-3", 1.0)), ["line 2: \"REF_energy\" is not read, only energy is"]);
    assert_eq!(notes(&h2("energy=-3 free_energy=-3", 1.0)), [""; 0]);
    assert_eq!(notes(&h2("energy=-x value=nan", 1.0)), ["line 2: energy \"-x\" left out, expected a number"]);
    let quote = "line 2: a quote or bracket is not closed, what follows it is one value";
    assert_eq!(notes(&h2("it's energy=3", 1.0)), [quote]);
    let starred = "1\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0 1 *** 0\n";
    assert_eq!(notes(starred), ["line 3: forces \"1 *** 0\" left out, expected three numbers"]);
    assert_eq!(all(Format::Xyz, starred.as_bytes()).0[0].as_ref().unwrap().forces, None);
}

#[test]
fn numbers_may_be_fortrans() {
    let read = ["1.0E-3", "1D-3", "-1.5d+2", "+1.5", ".5", "2.", "1e400", "dd", "1_0", "0x1", "1,5", ""].map(real);
    let expected = [
        Some(1e-3),
        Some(1e-3),
        Some(-150.0),
        Some(1.5),
        Some(0.5),
        Some(2.0),
        Some(f64::INFINITY),
        None,
        None,
        None,
        None,
        None,
    ];
    assert_eq!(read, expected);
}

/// Random numbers that a seed reproduces.
struct Random(SplitMix64);

impl Random {
    /// A number below `end`, 0 if `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % (end as u64).max(1)) as usize
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 52) as f64 / (1u64 << 52) as f64
    }
}

#[test]
fn atoms_in_one_place_are_found() {
    for seed in 0..300 {
        let mut random = Random(SplitMix64::seed_from_u64(seed));
        let (atoms, size) = (65 + random.below(200), [0.01, 0.1, 1.0][random.below(3)]);
        let pos: Vec<[f64; 3]> = (0..atoms).map(|_| [(); 3].map(|()| (random.unit() - 0.5) * size)).collect();
        let near = |i: usize, j: usize| {
            pos[i].iter().zip(pos[j]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() < NEAREST * NEAREST
        };
        let naive = (0..atoms).find(|&j| (0..j).any(|i| near(i, j)));
        let found = overlap(&pos);
        assert_eq!(found.map(|(_, j)| j), naive, "seed {seed}");
        assert!(found.is_none_or(|(i, j)| i < j && near(i, j)), "seed {seed}");
    }
    // A lattice of many atoms is no quadratic matter.
    let began = Instant::now();
    let mut pos: Vec<[f64; 3]> =
        (0..300_000).map(|i| [i % 67, i / 67 % 67, i / 67 / 67].map(|x| f64::from(x) * 1.6)).collect();
    assert_eq!(overlap(&pos), None);
    pos.push([1.6 * 66.0, 1.6, 9e-4]);
    assert_eq!(overlap(&pos), Some((67 + 66, 300_000)));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn periodic_directions_are_independent() {
    let cell = [[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 4.0]];
    assert!(
        spans(&cell, [true, true, false])
            && spans(&cell, [false; 3])
            && spans(&[[1e-3, 0.0, 0.0], [0.0, 1e3, 0.0], [0.0, 0.0, 1.0]], [true; 3])
    );
    assert!(
        !spans(&cell, [true; 3])
            && !spans(&[[0.0; 3]; 3], [false, false, true])
            && !spans(&[[1e300, 1e300, 0.0]; 3], [true; 3])
    );
}

#[test]
fn a_line_without_end_is_not_read_to_its_end() {
    let endless = std::io::BufReader::new(std::io::repeat(b'1'));
    let mut reader = Reader::new(Path::new("endless"), Format::Xyz, endless);
    let error = reader.next().unwrap_err();
    assert_eq!(error.to_string(), format!("line 1: found a line above {LONGEST} bytes, expected lines of text"));
    assert!(!error.recoverable() && reader.next().unwrap().is_none());
    assert_eq!(
        error.at(Path::new("a.xyz")).to_string(),
        format!("a.xyz: line 1: found a line above {LONGEST} bytes, expected lines of text")
    );
}

/// Changes a text in a place or a few: bits, bytes, lines, words, its end.
fn mutate(text: &mut Vec<u8>, random: &mut Random) {
    const WORDS: [&str; 24] = [
        "999",
        "1000",
        "-1",
        "18446744073709551615",
        "nan",
        "inf",
        "1e308",
        "1D5",
        "X",
        "R#",
        "H",
        "$$$$\n",
        "M  END\n",
        "M  V30 ",
        "-\n",
        "V3000",
        "Lattice=\"",
        "pbc=T",
        ":R:18446744073709551615",
        ":I:4000000000",
        "\\",
        "\"",
        "\n",
        "=",
    ];
    for _ in 0..1 + random.below(4) {
        let at = random.below(text.len() + 1);
        let mut cut = |text: &mut Vec<u8>, separator: fn(u8) -> bool| {
            let end = text[at..].iter().position(|&b| separator(b)).map_or(text.len(), |end| at + end);
            let start = text[..at].iter().rposition(|&b| separator(b)).map_or(0, |start| start + 1);
            let piece = text[start..end].to_vec();
            match random.below(3) {
                0 => drop(text.drain(start..end)),
                1 => drop(text.splice(end..end, [b"\n".as_slice(), &piece].concat())),
                _ => drop(text.splice(start..end, WORDS[random.below(WORDS.len())].bytes())),
            }
        };
        match at % 7 {
            0 | 1 => cut(text, |b| b == b'\n'),
            2 | 3 => cut(text, |b| b.is_ascii_whitespace()),
            4 if at < text.len() => text[at] ^= 1 << random.below(8),
            5 => drop(text.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            6 if random.below(4) == 0 => text.truncate(at),
            _ if at < text.len() => text[at] = random.below(256) as u8,
            _ => {}
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let names = [
        "ase.xyz",
        "plain.xyz",
        "hand.xyz",
        "rdkit2000.sdf",
        "rdkit3000.sdf",
        "crlf.sdf",
        "ase.sdf",
        "two-members.xyz.gz",
    ];
    let files = names.map(|name| std::fs::read(fixtures().join(name)).unwrap());
    let (mut read, mut refused) = (0, 0);
    for seed in 0..10_000 {
        let mut random = Random(SplitMix64::seed_from_u64(seed));
        let (name, mut text) = (names[seed as usize % names.len()], files[seed as usize % names.len()].clone());
        mutate(&mut text, &mut random);
        let began = Instant::now();
        let source: Box<dyn std::io::BufRead> = if name.ends_with(".gz") {
            Box::new(std::io::BufReader::new(flate2::bufread::MultiGzDecoder::new(Cursor::new(&text))))
        } else {
            Box::new(Cursor::new(&text))
        };
        let mut reader = Reader::new(Path::new(name), format(name), source);
        // Each call reads a line at least.
        for _ in 0..=20_000 {
            match reader.next() {
                Ok(None) => break,
                Ok(Some(molecule)) => {
                    read += 1;
                    let atoms = molecule.z.len();
                    assert!(molecule.z.iter().all(|z| (1..=118).contains(z)), "seed {seed}");
                    assert!(
                        molecule.pos.len() == atoms && molecule.forces.as_ref().is_none_or(|f| f.len() == atoms),
                        "seed {seed}"
                    );
                    let forces = molecule.forces.iter().flatten();
                    let numbers = molecule.pos.iter().chain(forces).chain(molecule.cell.iter().flatten()).flatten();
                    assert!(
                        numbers.chain(&molecule.energy).chain(&molecule.value).all(|x| x.is_finite()),
                        "seed {seed}"
                    );
                    // Atoms were read from lines, so memory is bounded by the text.
                    assert!(
                        molecule.z.capacity() <= 2 * text.len().max(8192)
                            && molecule.pos.capacity() <= 2 * text.len().max(8192),
                        "seed {seed}"
                    );
                }
                Err(_) => refused += 1,
            }
        }
        assert!(reader.next().is_ok_and(|end| end.is_none()), "seed {seed} has no end");
        assert!(began.elapsed() < Duration::from_secs(10), "seed {seed}");
    }
    assert!(read > 10_000 && refused > 5_000, "{read} read, {refused} refused");
}
