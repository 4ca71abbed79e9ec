//! The order of names: runs of digits compare by value, all else byte by byte, so that `2.bin` comes before `10.bin`.
//!
//! Nine or ten digits, a point and digits are a time in seconds: `1700000000.25.bin` comes before `1700000000.5.bin`.

use std::cmp::Ordering;
use std::path::Path;

/// Compares two paths, component by component. Paths that differ are never equal: `1.bin` comes before `01.bin`.
///
/// ```
/// use std::path::Path;
/// use thalweg_connectors::order::compare;
///
/// let mut names = ["10.bin", "2.bin", "a9.bin", "a10.bin"].map(Path::new);
/// names.sort_by(|a, b| compare(a, b));
/// assert_eq!(names, ["2.bin", "10.bin", "a9.bin", "a10.bin"].map(Path::new));
/// ```
pub fn compare(a: &Path, b: &Path) -> Ordering {
    let bytes = |path: &Path| path.components().map(|c| c.as_os_str().as_encoded_bytes().to_vec()).collect::<Vec<_>>();
    let (a, b) = (bytes(a), bytes(b));
    for (a, b) in a.iter().zip(&b) {
        let order = natural(a, b);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// The number that a name's stem is, if it is nothing but digits.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let stem = stem.strip_suffix(".pcd").unwrap_or(stem);
    (!stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit())).then(|| stem.parse().ok()).flatten()
}

fn natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let whole = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.first(), b.first()) else {
            return a.len().cmp(&b.len()).then_with(|| shorter(whole));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let ((x, rest_a), (y, rest_b)) = (digits(a), digits(b));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (rest_a, rest_b);
            if matches!(x.len(), 9 | 10) {
                let ((x, rest_a), (y, rest_b)) = (fraction(a), fraction(b));
                let order = x.cmp(y);
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        } else if x == y {
            (a, b) = (&a[1..], &b[1..]);
        } else {
            return x.cmp(y);
        }
    }
}

/// Names of one value: the one with fewer zeros before its numbers, then by bytes.
fn shorter((a, b): (&[u8], &[u8])) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The digits that a name begins with, less the zeros before them, and what follows.
fn digits(name: &[u8]) -> (&[u8], &[u8]) {
    let end = name.iter().position(|b| !b.is_ascii_digit()).unwrap_or(name.len());
    let zeros = name[..end].iter().take_while(|&&b| b == b'0').count();
    (&name[zeros..end], &name[end..])
}

/// The digits behind the point that a name begins with, less the zeros after them, and what follows; none without a point.
fn fraction(name: &[u8]) -> (&[u8], &[u8]) {
    let Some(digits) = name.strip_prefix(b".") else { return (&[], name) };
    let end = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return (&[], name);
    }
    let zeros = digits[..end].iter().rev().take_while(|&&b| b == b'0').count();
    (&digits[..end - zeros], &digits[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_and_no_two_names_are_equal() {
        let names = [
            "0.bin",
            "00.bin",
            "1.2.bin",
            "1.10.bin",
            "1.bin",
            "01.bin",
            "1.pcd.bin",
            "2.bin",
            "10.bin",
            "1700000000.bin",
            "1700000000.05.bin",
            "1700000000.25.bin",
            "1700000000.5.bin",
            "1700000000.50.bin",
            "1700000001.bin",
            "99999999999999999999.bin",
            "100000000000000000000.bin",
            "a.bin",
            "a1b2.bin",
            "a1b10.bin",
            "a2.bin",
            "b",
        ];
        for (i, a) in names.iter().enumerate() {
            for (j, b) in names.iter().enumerate() {
                assert_eq!(compare(Path::new(a), Path::new(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare(Path::new("9/10"), Path::new("10/2")), Ordering::Less);
        assert_eq!(number(Path::new("a/000012.pcd.bin")), Some(12));
        assert_eq!(number(Path::new("a/x12.bin")), None);
        assert_eq!(number(Path::new("a/1305031102.175.bin")), None);
        assert_eq!(number(Path::new("a/99999999999999999999.bin")), None);
    }
}
