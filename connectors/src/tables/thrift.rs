//! The sizes that a Parquet page header declares, read before the decoder reserves them.
//!
//! A page header is one structure of the Thrift compact protocol; every length in it is walked within the bytes that are there.
//! Source: the Thrift compact protocol specification; `parquet.thrift`, `PageHeader`.

/// What a page header declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Bytes of the header itself.
    pub header: usize,
    /// Bytes of the page after decompression.
    pub uncompressed: u64,
    /// Bytes of the page in the file.
    pub compressed: u64,
    /// Values in the page.
    pub values: u64,
}

/// Why bytes are no Thrift structure, and where (offset from the first byte handed over).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub at: usize,
    pub found: &'static str,
}

/// The page header at the start of `bytes`.
pub(crate) fn page_header(bytes: &[u8]) -> Result<PageHeader, Broken> {
    let mut walk = Walk { bytes, at: 0 };
    let mut out = PageHeader::default();
    let mut sizes = 0;
    // Fields 2 and 3 are the sizes; 5, 7 and 8 the headers of the kinds of page, whose field 1 is the number of values.
    walk.structure(0, 0, &mut |parent, field, value| {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        match (parent, field) {
            (0, 2) => (out.uncompressed, sizes) = (value, sizes | 1),
            (0, 3) => (out.compressed, sizes) = (value, sizes | 2),
            (5 | 7 | 8, 1) => out.values = value,
            _ => {}
        }
    })?;
    out.header = walk.at;
    if sizes == 3 { Ok(out) } else { Err(Broken { at: 0, found: "a page header without sizes" }) }
}

const DEEPEST: u32 = 32;

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn broken<T>(&self, found: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, found })
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let Some(&byte) = self.bytes.get(self.at) else { return self.broken("an end inside a structure") };
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: u64) -> Result<(), Broken> {
        let left = (self.bytes.len() - self.at) as u64;
        if length > left {
            return self.broken("a length beyond the end");
        }
        self.at += length as usize;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.broken("an integer of more than 64 bits")
    }

    fn zigzag(&mut self) -> Result<i64, Broken> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// One structure; `integer` is told the integer fields of the two outer levels: the field above (0 = none), the field, the value.
    fn structure(&mut self, depth: u32, parent: i64, integer: &mut dyn FnMut(i64, i64, i64)) -> Result<(), Broken> {
        if depth > DEEPEST {
            return self.broken("structures nested too deep");
        }
        let mut field = 0i64;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => self.zigzag()?,
                delta => field + i64::from(delta),
            };
            match kind {
                1 | 2 => {}
                4..=6 => {
                    let value = self.zigzag()?;
                    integer(parent, field, value);
                }
                12 if depth == 0 => self.structure(1, field, integer)?,
                _ => self.value(kind, depth)?,
            }
        }
    }

    /// One value that is no boolean field.
    fn value(&mut self, kind: u8, depth: u32) -> Result<(), Broken> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth + 1),
            11 => self.map(depth + 1),
            12 => self.structure(depth + 1, 0, &mut |_, _, _| {}),
            13 => self.skip(16),
            _ => self.broken("an unknown type"),
        }
    }

    fn list(&mut self, depth: u32) -> Result<(), Broken> {
        if depth > DEEPEST {
            return self.broken("lists nested too deep");
        }
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        if size > (self.bytes.len() - self.at) as u64 {
            return self.broken("a list longer than the bytes left");
        }
        (0..size).try_for_each(|_| self.value(head & 0x0f, depth))
    }

    fn map(&mut self, depth: u32) -> Result<(), Broken> {
        if depth > DEEPEST {
            return self.broken("maps nested too deep");
        }
        let size = self.varint()?;
        if size > (self.bytes.len() - self.at) as u64 {
            return self.broken("a map longer than the bytes left");
        }
        if size == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        (0..size).try_for_each(|_| self.value(kinds >> 4, depth).and_then(|()| self.value(kinds & 0x0f, depth)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_header_written_by_hand() {
        // Field 1 (i32) = 0, field 2 (i32) = 300 (zigzag 600 = 0xd8 0x04), field 3 (i32) = 20 (zigzag 40),
        // field 5 (structure): field 1 (i32) = 7, stop; stop; a byte beyond.
        let bytes = [0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 40, 0x2c, 0x15, 14, 0x00, 0x00, 0xff];
        assert_eq!(page_header(&bytes), Ok(PageHeader { header: 12, uncompressed: 300, compressed: 20, values: 7 }));
        assert_eq!(page_header(&bytes[..11]).map_err(|b| b.at), Err(11));
    }

    #[test]
    fn a_list_may_not_be_longer_than_the_bytes() {
        // Field 1: a list of 2^31 − 1 structures.
        let bytes = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x00];
        assert_eq!(page_header(&bytes), Err(Broken { at: 7, found: "a list longer than the bytes left" }));
    }
}
