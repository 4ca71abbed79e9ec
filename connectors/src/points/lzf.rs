//! LZF decompression (Marc Lehmann's liblzf format), as PCD's `binary_compressed` uses it.
//!
//! A control byte below 32 copies `control + 1` literal bytes; any other copies `length + 2` bytes (`length` = its upper 3 bits, 7 = 7 + the
//! next byte) from `distance + 1` bytes back (`distance` = its lower 5 bits and the next byte).

/// The most bytes that one byte of input can stand for: 264 from 3.
pub(crate) const MOST_PER_BYTE: usize = 88;

/// Where and why the input is no LZF stream of the stated length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Offset in the input.
    pub(crate) at: usize,
    /// What stands there.
    pub(crate) found: &'static str,
}

/// Decompresses exactly `length` bytes. Memory grows with what is decompressed, not with what `length` claims.
pub(crate) fn decompress(input: &[u8], length: usize) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::with_capacity(length.min(input.len().saturating_mul(2)));
    let mut at = 0;
    while at < input.len() {
        let broken = |found| Err(Broken { at, found });
        let control = usize::from(input[at]);
        if control < 32 {
            let Some(literal) = input.get(at + 1..at + 2 + control) else {
                return broken("a literal run past the end");
            };
            if out.len() + literal.len() > length {
                return broken("more bytes than stated");
            }
            out.extend_from_slice(literal);
            at += 2 + control;
            continue;
        }
        let long = control >> 5 == 7;
        let Some(tail) = input.get(at + 1..at + 2 + usize::from(long)) else {
            return broken("a back reference past the end");
        };
        let run = 2 + if long { 7 + usize::from(tail[0]) } else { control >> 5 };
        let distance = 1 + ((control & 31) << 8 | usize::from(tail[tail.len() - 1]));
        if distance > out.len() {
            return broken("a back reference before the beginning");
        }
        if out.len() + run > length {
            return broken("more bytes than stated");
        }
        for from in out.len() - distance..out.len() - distance + run {
            out.push(out[from]);
        }
        at += 1 + tail.len();
    }
    if out.len() == length { Ok(out) } else { Err(Broken { at, found: "fewer bytes than stated" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_overlapping_references_by_hand() {
        assert_eq!(decompress(&[2, b'a', b'b', b'c'], 3).unwrap(), b"abc");
        assert_eq!(decompress(&[0, b'x', 0x60, 0], 6).unwrap(), b"xxxxxx");
        assert_eq!(decompress(&[1, b'a', b'b', 0xe0, 0, 1], 11).unwrap(), b"abababababa");
    }

    #[test]
    fn torn_and_crafted_streams_are_named() {
        let found = |input: &[u8], length| decompress(input, length).unwrap_err().found;
        assert_eq!(found(&[5, 1], 6), "a literal run past the end");
        assert_eq!(found(&[0x20], 6), "a back reference past the end");
        assert_eq!(found(&[0x20, 0], 6), "a back reference before the beginning");
        assert_eq!(found(&[0, 1, 0xe0, 255, 0], 8), "more bytes than stated");
        assert_eq!(found(&[0, 1], usize::MAX), "fewer bytes than stated");
    }
}
