//! Numbers for tables that are in the order of the input, whenever a table comes.
//!
//! The order is that of the paths that were named, then that of names in a folder. A folder that is followed gets tables at any place of it,
//! and rows already carry their table's number. So numbers have gaps: a table that comes between two others gets one from the middle.

use std::path::{Path, PathBuf};

use crate::order;

/// Numbers of one path that was named. The high bits are its own number.
const SPAN: u64 = 1 << 48;
/// From the last table to one that comes behind it, and from the first to one before it.
const STEP: u64 = 1 << 24;

/// The tables so far.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// In the order of the input.
    tables: Vec<(u16, PathBuf, u64)>,
}

impl Places {
    /// A number for a table that was found under the path of number `named`. Where 24 tables in a row have come each into the middle of the gap
    /// that the last one left, the next one shares the number of the table before it.
    pub(super) fn number(&mut self, named: u16, table: &Path) -> u64 {
        let at =
            self.tables.partition_point(|(other, path, _)| other.cmp(&named).then(order::compare(path, table)).is_lt());
        let of = |i: usize| self.tables.get(i).filter(|(other, ..)| *other == named).map(|(.., number)| *number);
        let (first, end) = (u64::from(named) * SPAN, u64::from(named) * SPAN + (SPAN - 1));
        let number = match (at.checked_sub(1).and_then(of), of(at)) {
            (None, None) => first + SPAN / 2,
            (Some(before), None) => before + STEP.min((end - before) / 2),
            (None, Some(behind)) => behind - STEP.min((behind - first) / 2),
            (Some(before), Some(behind)) => before + (behind - before) / 2,
        };
        self.tables.insert(at, (named, table.into(), number));
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_order_of_the_input_whatever_the_order_of_arrival() {
        let names = ["2", "10", "1", "7", "30", "4", "0", "100", "8", "9"];
        for turn in 0..names.len() {
            let (mut places, mut numbers) = (Places::default(), Vec::new());
            for i in 0..names.len() {
                let (named, name) = ((i % 3) as u16, names[(i * 7 + turn) % names.len()]);
                let path = PathBuf::from(format!("{name}.csv"));
                numbers.push((places.number(named, &path), named, path));
            }
            numbers.sort();
            assert!(numbers.windows(2).all(|pair| pair[0].0 < pair[1].0), "no two tables share a number");
            let ordered = numbers.is_sorted_by(|a, b| a.1.cmp(&b.1).then_with(|| order::compare(&a.2, &b.2)).is_lt());
            assert!(ordered, "{numbers:?}");
        }
    }

    #[test]
    fn many_tables_may_come_behind_or_before_all_others() {
        let mut places = Places::default();
        let mut behind: Vec<u64> = (500..5000).map(|n| places.number(0, Path::new(&format!("{n}")))).collect();
        let before: Vec<u64> = (0..500).rev().map(|n| places.number(0, Path::new(&format!("{n}")))).collect();
        behind.splice(0..0, before.into_iter().rev());
        assert!(behind.is_sorted_by(|a, b| a < b));
        places.number(1, Path::new("0"));
        assert!(places.number(0, Path::new("9999")) < SPAN);
    }
}
