//! What a sweep knows of tokens besides their ids and bytes: the user's labels.

use crate::inputs::OpenedModel;
use layerwise::corpus::Labels;
use std::fs;
use std::path::Path;

/// The user's labels of all tokens.
///
/// # Errors
/// The file cannot be read, does not fit the sequences, or needs too much memory.
pub fn labels_of(
    path: &Path,
    opened: &OpenedModel,
    sequences: &[Vec<u32>],
) -> anyhow::Result<Labels> {
    let size = fs::metadata(path).map_or(0, |found| found.len());
    let what = format!("{}: the labels of {}", opened.name, path.display());
    // A label takes four bytes in the file. In memory it takes two, besides the file and a line of it as strings.
    opened.budget.check(&what, size.saturating_mul(16))?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    Ok(Labels::read(path, &lengths)?)
}
