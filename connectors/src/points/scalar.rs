//! The types of numbers in records of points, and their bytes and words.

/// The type of one number in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Scalar {
    /// Bytes that one number takes.
    pub(crate) fn size(self) -> usize {
        match self {
            Scalar::I8 | Scalar::U8 => 1,
            Scalar::I16 | Scalar::U16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::I64 | Scalar::U64 | Scalar::F64 => 8,
        }
    }

    /// `uint8`, `float32`, …
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scalar::I8 => "int8",
            Scalar::U8 => "uint8",
            Scalar::I16 => "int16",
            Scalar::U16 => "uint16",
            Scalar::I32 => "int32",
            Scalar::U32 => "uint32",
            Scalar::I64 => "int64",
            Scalar::U64 => "uint64",
            Scalar::F32 => "float32",
            Scalar::F64 => "float64",
        }
    }

    /// The number whose little-endian bytes `bytes` begins with; `bytes` holds at least [`Scalar::size`].
    pub(crate) fn little_endian(self, bytes: &[u8]) -> f64 {
        match self {
            Scalar::I8 => f64::from(i8::from_le_bytes(first(bytes))),
            Scalar::U8 => f64::from(bytes[0]),
            Scalar::I16 => f64::from(i16::from_le_bytes(first(bytes))),
            Scalar::U16 => f64::from(u16::from_le_bytes(first(bytes))),
            Scalar::I32 => f64::from(i32::from_le_bytes(first(bytes))),
            Scalar::U32 => f64::from(u32::from_le_bytes(first(bytes))),
            Scalar::I64 => i64::from_le_bytes(first(bytes)) as f64,
            Scalar::U64 => u64::from_le_bytes(first(bytes)) as f64,
            Scalar::F32 => f64::from(f32::from_le_bytes(first(bytes))),
            Scalar::F64 => f64::from_le_bytes(first(bytes)),
        }
    }

    /// The number whose big-endian bytes `bytes` begins with; `bytes` holds at least [`Scalar::size`].
    pub(crate) fn big_endian(self, bytes: &[u8]) -> f64 {
        let mut reversed = [0; 8];
        let size = self.size();
        reversed[..size].copy_from_slice(&bytes[..size]);
        reversed[..size].reverse();
        self.little_endian(&reversed)
    }

    /// The number that a word of text spells; an f32 is rounded once.
    pub(crate) fn text(self, word: &str) -> Option<f64> {
        match self {
            Scalar::F32 => word.parse::<f32>().ok().map(f64::from),
            _ => word.parse().ok(),
        }
    }
}

/// The first `N` bytes.
pub(crate) fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the caller checked the record's length")
}
