//! Symbols and atomic numbers of the 118 elements, as IUPAC's periodic table of 2022 names them.

/// Symbols by atomic number minus one.
const SYMBOLS: [&str; 118] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc",
    "Lv", "Ts", "Og",
];

/// Atomic numbers by [`place`] of the symbol; 0 where there is no element.
const NUMBERS: [u8; 27 * 27] = {
    let mut numbers = [0; 27 * 27];
    let mut z = 0;
    while z < SYMBOLS.len() {
        let symbol = SYMBOLS[z].as_bytes();
        numbers[place(symbol[0], if symbol.len() > 1 { symbol[1] } else { b'`' })] = z as u8 + 1;
        z += 1;
    }
    // The isotopes of hydrogen that have symbols of their own.
    numbers[place(b'D', b'`')] = 1;
    numbers[place(b'T', b'`')] = 1;
    numbers
};

/// The place of two letters in [`NUMBERS`]; '`', which stands before 'a', is no letter.
const fn place(first: u8, second: u8) -> usize {
    (first.to_ascii_lowercase() - b'`') as usize * 27 + (second.to_ascii_lowercase() - b'`') as usize
}

/// The atomic number of a symbol in any case: `Cl`, `CL` and `cl` are 17. Deuterium `D` and tritium
/// `T` are hydrogen.
///
/// ```
/// # use thalweg_connectors::molecules::elements::{number, symbol};
/// assert_eq!(number("cl"), Some(17));
/// assert_eq!(number("Xx"), None);
/// assert_eq!(symbol(17), Some("Cl"));
/// ```
pub fn number(symbol: &str) -> Option<u8> {
    let (first, second) = match *symbol.as_bytes() {
        [first] => (first, b'`'),
        [first, second] if second.is_ascii_alphabetic() => (first, second),
        _ => return None,
    };
    let number = if first.is_ascii_alphabetic() { NUMBERS[place(first, second)] } else { 0 };
    (number > 0).then_some(number)
}

/// The symbol of the element with atomic number `z`, 1 to 118.
pub fn symbol(z: u8) -> Option<&'static str> {
    SYMBOLS.get(usize::from(z).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::{number, symbol};

    #[test]
    fn numbers_and_symbols_are_inverse() {
        for z in 1..=118 {
            let name = symbol(z).unwrap();
            assert_eq!(
                (number(name), number(&name.to_uppercase()), number(&name.to_lowercase())),
                (Some(z), Some(z), Some(z))
            );
        }
        assert_eq!((symbol(0), symbol(119)), (None, None));
        // Noble gases, whose numbers close the periods.
        assert_eq!(["He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"].map(number), [2, 10, 18, 36, 54, 86, 118].map(Some));
    }

    #[test]
    fn only_symbols_are_elements() {
        assert_eq!((number("D"), number("t")), (Some(1), Some(1)));
        let all: Vec<String> =
            (0..=127u8).flat_map(|a| (0..=127u8).map(move |b| [a as char, b as char].iter().collect())).collect();
        assert_eq!(all.iter().filter(|two| number(two).is_some()).count(), 4 * (118 - 14));
        for none in ["", "X", "Xx", "*", "A", "Q", "R#", "L", "LP", "CH3", "C1", "é", "6", "`", "c`"] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
