//! What readers refuse because it would lose an atom or a molecule, and truths in units of their own.

use std::path::Path;

use super::{Format, Molecule, Reader, Unit};

/// Frames and errors of a text in which a `value` is wanted in `unit`, and the notes.
fn read(format: Format, unit: Option<&str>, text: &str) -> (Vec<Result<Molecule, String>>, Vec<String>) {
    let unit = unit.map(|name| Unit::by_name(name).unwrap());
    let mut reader = Reader::new(Path::new("test"), format, text.as_bytes()).values_in(unit);
    let frames = std::iter::from_fn(|| reader.next().map_err(|e| e.to_string()).transpose()).collect();
    (frames, reader.take_notes())
}

/// Numbers of atoms and errors of an SDF.
fn sizes(text: &str) -> Vec<Result<usize, String>> {
    read(Format::Sdf, None, text).0.into_iter().map(|frame| frame.map(|molecule| molecule.z.len())).collect()
}

const H2: &str = "h2\nprogram\n\n  2  1  0  0  0              1 V2000\n    0.0000    0.0000    0.0000 H   0\n    0.0000    0.0000    0.7400 H   0\n  1  2  1\n";

#[test]
fn molfiles_joined_without_a_separator_are_refused() {
    let joined = format!("{H2}M  END\n{H2}M  END\n$$$$\n{H2}M  END\n");
    let expected = "expected data (> <name>), $$$$ or the end of the file behind M  END";
    assert_eq!(sizes(&joined), [Err(format!("line 9: found \"h2\", {expected}")), Ok(2)]);
    // Without a name the first line is blank, and the program's is the one that has no place there.
    let nameless = joined.replace("h2\n", "\n");
    assert_eq!(sizes(&nameless), [Err(format!("line 10: found \"program\", {expected}")), Ok(2)]);
    let v3000 = "\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 1 0\nM  V30 BEGIN ATOM\n\
        M  V30 1 He 0 0 0 0\nM  V30 END ATOM\nM  V30 END CTAB\nM  END\n";
    assert_eq!(sizes(&format!("{v3000}{H2}M  END\n")), [Err(format!("line 12: found \"h2\", {expected}"))]);
    // Behind data, too; values may have several lines, and begin as they like.
    let data = "> <note>\nM  END\nmore\n\n>  <energy>\n-31.7\n";
    assert_eq!(sizes(&format!("{H2}M  END\n\n{data}\n\n{data}")), [Ok(2)]);
    let error = format!("line 17: found \"h2\", {expected}");
    assert_eq!(sizes(&format!("{H2}M  END\n\n{data}\n{H2}")), [Err(error)]);
}

#[test]
fn atoms_beyond_the_count_are_refused() {
    let expected = "expected M  END, or a property behind all declared atoms and bonds";
    let three = H2.replace("  1  2  1\n", "    0.0000    1.0000    0.0000 O   0\n").replace("  2  1", "  2  0");
    let found = "found \"    0.0000    1.0000    0.0000 O   0\"";
    assert_eq!(sizes(&format!("{three}M  END\n")), [Err(format!("line 7: {found}, {expected}"))]);
    assert_eq!(
        sizes(&format!("{H2}  2  1  1\nM  END\n")),
        [Err(format!("line 8: found \"  2  1  1\", {expected}"))],
        "a bond too many"
    );
    // Properties of each kind, the text that belongs to them, and old files without M  END.
    let properties = "A    1\nname of an atom\nV    1 text\nG    1  2\nR\nS  SKP  2\nany\nthing\nM  CHG  1   1   1\n";
    for end in ["M  END\n", "M  END\n\n$$$$\n", "", "\n", "> <value>\n1\n\n", "$$$$\n"] {
        assert_eq!(sizes(&format!("{H2}{properties}{end}")), [Ok(2)], "{end:?}");
    }
}

#[test]
fn truths_come_in_the_units_of_a_molecule() {
    let h2 = |comment: &str| {
        format!("2\nProperties=species:S:1:pos:R:3:forces:R:3 {comment}\nH 0 0 0 1 0 0\nH 0 0 1 0 2 0\n")
    };
    let one = |unit, comment: &str| {
        let (frames, notes) = read(Format::Xyz, unit, &h2(comment));
        assert_eq!(notes, [""; 0], "{comment}");
        let molecule = frames.into_iter().next().unwrap().unwrap();
        (molecule.energy, molecule.value, molecule.forces.unwrap()[1][1])
    };
    let kcal = 4184.0 / 96_485.332_123_31;
    assert_eq!(one(None, "energy=-3"), (Some(-3.0), None, 2.0));
    assert_eq!(one(None, "energy=-3 unit=eV"), (Some(-3.0), None, 2.0));
    assert_eq!(one(Some("eV"), "energy=-3 unit=kcal/mol"), (Some(-3.0 * kcal), None, 2.0 * kcal));
    assert_eq!(one(Some("eV"), "unit=hartree energy=1"), (Some(27.211_386_245_988), None, 2.0 * 27.211_386_245_988));
    // The unit is that of the value where there is one.
    assert_eq!(one(Some("kcal/mol"), "energy=-3 value=-5"), (Some(-3.0), Some(-5.0), 2.0));
    let (energy, value, force) = one(Some("kcal/mol"), "energy=-3 value=-5 unit=eV");
    assert_eq!((energy, force), (Some(-3.0), 2.0));
    // An eV is 23.0605 kcal/mol.
    assert!((value.unwrap() + 5.0 * 23.0605).abs() < 1e-3, "{value:?}");
    let value = one(Some("kcal/mol"), "value=41.84 unit=kJ/mol").1.unwrap();
    assert!((value - 10.0).abs() < 1e-12, "{value}");

    let unknown = h2("value=1 unit=Ry");
    let error = r#"line 2: found unit "Ry", expected kcal/mol, eV, meV, kJ/mol or hartree"#;
    assert_eq!(read(Format::Xyz, Some("eV"), &unknown).0, [Err(error.to_string())]);
    let (frames, notes) = read(Format::Xyz, None, &unknown);
    assert_eq!(frames[0].as_ref().unwrap().value, None);
    assert_eq!(notes, [r#"line 2: value left out, found unit "Ry", expected kcal/mol, eV, meV, kJ/mol or hartree"#]);
    // Without a truth a unit says nothing of interest.
    assert!(read(Format::Xyz, Some("eV"), "1\nunit=Angstrom\nH 0 0 0\n").0[0].is_ok());

    let sdf = format!("{H2}M  END\n> <unit>\nmeV\n\n> <energy>\n-500\n");
    assert_eq!(read(Format::Sdf, Some("eV"), &sdf).0[0].as_ref().unwrap().energy, Some(-0.5));
    let error = r#"line 10: found unit "Ry", expected kcal/mol, eV, meV, kJ/mol or hartree"#;
    assert_eq!(read(Format::Sdf, Some("eV"), &sdf.replace("meV", "Ry")).0, [Err(error.to_string())]);
}

#[test]
fn forces_of_another_name_are_named() {
    let notes = |properties: &str| {
        let text = format!("1\nProperties=species:S:1:pos:R:3:{properties}\nH 0 0 0 1 2 3 4 5 6\n");
        read(Format::Xyz, None, &text).1
    };
    assert_eq!(notes("dft_forces:R:3"), ["line 2: \"dft_forces\" is not read, only forces is"]);
    assert_eq!(notes("REF_force:R:3"), ["line 2: \"REF_force\" is not read, only forces is"]);
    assert_eq!(notes("dft_forces:R:3:forces:R:3"), [""; 0]);
    assert_eq!(notes("momenta:R:3"), [""; 0]);
}
