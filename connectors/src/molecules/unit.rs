//! Units of energy: CODATA 2018; 1 cal = 4.184 J.

/// A unit of energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// What files and options call it.
    pub name: &'static str,
    /// What one of it is (eV).
    pub ev: f64,
}

/// All units.
pub const UNITS: [Unit; 5] = [
    Unit { name: "kcal/mol", ev: 4184.0 / 96_485.332_123_31 },
    Unit { name: "eV", ev: 1.0 },
    Unit { name: "meV", ev: 1e-3 },
    Unit { name: "kJ/mol", ev: 1000.0 / 96_485.332_123_31 },
    Unit { name: "hartree", ev: 27.211_386_245_988 },
];
/// Their names, as messages list them.
pub const NAMES: &str = "kcal/mol, eV, meV, kJ/mol or hartree";

impl Unit {
    /// The unit of a name.
    ///
    /// ```
    /// use thalweg_connectors::molecules::Unit;
    ///
    /// assert_eq!(Unit::by_name("meV").map(|unit| unit.ev), Some(1e-3));
    /// assert_eq!(Unit::by_name("MeV"), None);
    /// ```
    pub fn by_name(name: &str) -> Option<Unit> {
        UNITS.into_iter().find(|unit| unit.name == name)
    }

    /// The unit that a file means: a name in any case, except that `MeV` is none.
    pub(super) fn spelt(name: &str) -> Option<Unit> {
        let name = name.trim();
        let same = |unit: &Unit| unit.name.eq_ignore_ascii_case(name) && (unit.name != "meV" || name.starts_with('m'));
        Unit::by_name(name).or_else(|| UNITS.into_iter().find(same))
    }

    /// How many of `other` one of it is.
    pub fn per(self, other: Unit) -> f64 {
        self.ev / other.ev
    }
}
