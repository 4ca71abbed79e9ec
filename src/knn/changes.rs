//! What an epoch did to the lists.

/// Lists of different lengths: neighbours by (squared distance, id).
#[derive(Clone, Debug, PartialEq)]
pub struct IdLists {
    /// Where each list begins in `dst` and `d2`, and where the last one ends `[lists + 1]`.
    pub offsets: Vec<usize>,
    /// Ids of the neighbours.
    pub dst: Vec<u64>,
    /// Their squared distances.
    pub d2: Vec<f32>,
}

impl Default for IdLists {
    fn default() -> Self {
        IdLists { offsets: vec![0], dst: Vec::new(), d2: Vec::new() }
    }
}

impl IdLists {
    /// Number of lists.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// True without lists.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Neighbours and squared distances of a list.
    ///
    /// # Panics
    /// If there is no such list.
    pub fn row(&self, i: usize) -> (&[u64], &[f32]) {
        let row = self.offsets[i]..self.offsets[i + 1];
        (&self.dst[row.clone()], &self.d2[row])
    }

    /// Forgets all lists, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.offsets.truncate(1);
        self.dst.clear();
        self.d2.clear();
    }

    /// Appends a list.
    pub(super) fn push(&mut self, dst: impl Iterator<Item = u64>, d2: &[f32]) {
        self.dst.extend(dst);
        self.d2.extend_from_slice(d2);
        self.offsets.push(self.d2.len());
    }

    /// Appends a list.
    pub(super) fn push_row(&mut self, (dst, d2): (&[u64], &[f32])) {
        self.dst.extend_from_slice(dst);
        self.d2.extend_from_slice(d2);
        self.offsets.push(self.d2.len());
    }

    /// Appends a list of `len` neighbours that are still to be written.
    #[inline(always)]
    pub(super) fn push_blank(&mut self, len: usize) -> (&mut [u64], &mut [f32]) {
        let from = self.d2.len();
        self.dst.resize(from + len, 0);
        self.d2.resize(from + len, 0.0);
        self.offsets.push(from + len);
        (&mut self.dst[from..], &mut self.d2[from..])
    }
}

/// The nodes whose lists differ, bit for bit, from those before the epoch, ascending by id. A node that came has an empty old list, one
/// that went an empty new one. A node is not named whose list is empty before and after.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListChanges {
    /// The nodes.
    pub src: Vec<u64>,
    /// Their lists before `[src]`.
    pub old: IdLists,
    /// Their lists after `[src]`.
    pub new: IdLists,
}
