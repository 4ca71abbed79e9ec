//! Embedding: row `x_i` of a table, as `torch.nn.Embedding`; the number of the row stands in the one channel of `x`.

use super::{Args, Matrix, RowWise};
use crate::Error;

/// The layer: `{prefix}.weight` `[num_embeddings, embedding_dim]`.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Matrix,
}

impl Embedding {
    /// From `num_embeddings`, `embedding_dim`, `padding_idx` (of training alone).
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["padding_idx"])?;
        let (rows, channels) = (args.count("num_embeddings")?, args.count("embedding_dim")?);
        Ok(Embedding { table: args.weights().matrix(&args.tensor("weight"), rows, channels)? })
    }
}

impl RowWise for Embedding {
    fn called(&self) -> &str {
        "Embedding"
    }

    fn takes(&self) -> Option<usize> {
        Some(1)
    }

    fn gives(&self, _: usize) -> usize {
        self.table.cols()
    }

    fn apply(&self, x: Matrix) -> Result<Matrix, Error> {
        Error::unless_same("Embedding: channels of x", x.cols(), 1)?;
        let rows = self.table.rows();
        let index = |&value: &f32| {
            let index = value as u32;
            if index as f32 == value && (index as usize) < rows {
                return Ok(index);
            }
            let expected = format!("a whole number below {rows}");
            Err(Error::Value { what: "Embedding: number of a row", found: value.to_string(), expected })
        };
        let wanted = x.data().iter().map(index).collect::<Result<Vec<_>, _>>()?;
        Ok(self.table.take(&wanted))
    }
}
