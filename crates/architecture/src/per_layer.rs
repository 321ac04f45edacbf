//! A setting that may differ from block to block.

/// One value per block, stored as the distinct values and an index for each block.
///
/// ```
/// use layerwise_architecture::{Attention, PerLayer};
///
/// // Every other block attends to the last 8 positions only.
/// let window = |block| (block % 2 == 0).then_some(8);
/// let attention = PerLayer::each((0..6).map(|block| Attention::default().with(|a| a.window = window(block))));
/// assert_eq!((attention.of(2).window, attention.of(3).window), (Some(8), None));
/// assert_eq!(attention.kinds().len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PerLayer<T> {
    /// The distinct values, at least one.
    kinds: Vec<T>,
    /// For each block the index of its value; empty if all blocks have the first.
    of_layer: Vec<usize>,
}

impl<T: PartialEq> PerLayer<T> {
    /// The same value in every block.
    pub fn same(value: T) -> Self {
        Self {
            kinds: vec![value],
            of_layer: Vec::new(),
        }
    }

    /// One value per block, in order.
    ///
    /// # Panics
    /// If there are no values.
    pub fn each(values: impl IntoIterator<Item = T>) -> Self {
        let mut kinds: Vec<T> = Vec::new();
        let mut of_layer = Vec::new();
        for value in values {
            let known = kinds.iter().position(|kind| *kind == value);
            of_layer.push(known.unwrap_or(kinds.len()));
            if known.is_none() {
                kinds.push(value);
            }
        }
        assert!(!kinds.is_empty(), "a model has blocks");
        if kinds.len() == 1 {
            of_layer.clear();
        }
        Self { kinds, of_layer }
    }
}

impl<T> PerLayer<T> {
    /// The distinct values.
    pub fn kinds(&self) -> &[T] {
        &self.kinds
    }

    /// The index of a block's value among the distinct ones.
    ///
    /// # Panics
    /// If values differ and there is none for this block.
    pub fn kind_of(&self, layer: usize) -> usize {
        if self.of_layer.is_empty() {
            0
        } else {
            self.of_layer[layer]
        }
    }

    /// The value of a block.
    ///
    /// # Panics
    /// As [`PerLayer::kind_of`].
    pub fn of(&self, layer: usize) -> &T {
        &self.kinds[self.kind_of(layer)]
    }
}

#[cfg(test)]
mod tests {
    use super::PerLayer;

    #[test]
    fn each_block_has_its_own_value() {
        let values = [3, 5, 3, 3, 5];
        let each = PerLayer::each(values);
        assert_eq!(each.kinds(), [3, 5]);
        for (layer, value) in values.iter().enumerate() {
            assert_eq!(each.of(layer), value);
        }
        assert_eq!(PerLayer::each([7, 7]), PerLayer::same(7));
    }
}
