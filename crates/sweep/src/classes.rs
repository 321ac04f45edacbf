//! Means over the positions of a class of tokens, from the per-position results of a sweep.

use layerwise_metrics::ClusteredMean;

/// A partition of tokens into classes, for example by frequency.
///
/// ```
/// use layerwise_sweep::Classes;
///
/// // Positions 1, and 2 to 3, of a sequence of four tokens, which has no value at position 0.
/// let classes = Classes::positions("position", [4]);
/// assert_eq!(classes.names, ["1", "2-3"]);
/// let means = classes.means(&[4], &[f64::NAN, 3.0, 2.0, 1.0]);
/// assert_eq!((means[0].mean(), means[1].mean()), (Some(3.0), Some(1.5)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Classes {
    /// The name of the partition, such as `frequency_decile`.
    pub name: String,
    /// The name of each class.
    pub names: Vec<String>,
    /// For each token of all sequences, one sequence after another, the index of its class; `None` if it has none.
    pub of_tokens: Vec<Option<u16>>,
}

impl Classes {
    /// Classes with these names; each token gives the index of its class.
    ///
    /// # Panics
    /// If an index has no name.
    pub fn new(
        name: impl Into<String>,
        names: impl IntoIterator<Item = impl Into<String>>,
        of_tokens: Vec<Option<u16>>,
    ) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let mut indices = of_tokens.iter().flatten();
        assert!(
            indices.all(|index| usize::from(*index) < names.len()),
            "a class has a name"
        );
        Self {
            name: name.into(),
            names,
            of_tokens,
        }
    }

    /// Ten classes of roughly equal size, by a value; class 1 has the smallest. Tokens with equal values share the class of their
    /// middle token. Tokens whose value is NaN have no class.
    ///
    /// ```
    /// use layerwise_sweep::Classes;
    ///
    /// let values: Vec<f64> = (0..20).map(f64::from).collect();
    /// let classes = Classes::deciles("loss", &values);
    /// assert_eq!(classes.of_tokens[..4], [Some(0), Some(0), Some(1), Some(1)]); // classes "1" and "2"
    /// ```
    pub fn deciles(name: impl Into<String>, values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len())
            .filter(|at| !values[*at].is_nan())
            .collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut of_tokens = vec![None; values.len()];
        let all = order.len();
        let mut before = 0;
        for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
            // ⌊10·(before + equal/2)/all⌋, in integers.
            let decile = 10 * (2 * before + equal.len()) / (2 * all);
            for at in equal {
                of_tokens[*at] = u16::try_from(decile.min(9)).ok();
            }
            before += equal.len();
        }
        Self::new(name, (1..=10).map(|decile| decile.to_string()), of_tokens)
    }

    /// The frequency of each token among all tokens, in deciles of the text; class 1 has the rarest. `None` stands for a place
    /// without a token.
    pub fn frequency_deciles(name: impl Into<String>, tokens: &[Option<u32>]) -> Self {
        let vocab = tokens
            .iter()
            .flatten()
            .max()
            .map_or(0, |most| *most as usize + 1);
        let mut counts = vec![0_u32; vocab];
        for token in tokens.iter().flatten() {
            counts[*token as usize] += 1;
        }
        let value =
            |token: &Option<u32>| token.map_or(f64::NAN, |token| f64::from(counts[token as usize]));
        let values: Vec<f64> = tokens.iter().map(value).collect();
        Self::deciles(name, &values)
    }

    /// Classes of positions within sequences of these lengths: 1, 2–3, 4–7 and so on; position 0 has no class.
    pub fn positions(name: impl Into<String>, lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut of_tokens = Vec::new();
        let mut most = None;
        for length in lengths {
            let own = (0..length).map(|position| {
                let class = position.checked_ilog2()?;
                most = most.max(Some(class));
                u16::try_from(class).ok()
            });
            of_tokens.extend(own);
        }
        let name_of = |class: u32| match (1_u64 << class, (1_u64 << (class + 1)) - 1) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let names = most.map_or(0, |most| most + 1);
        Self::new(name, (0..names).map(name_of), of_tokens)
    }

    /// The mean of a value over the tokens of each class, with a standard error clustered by sequence; `lengths` are the lengths
    /// of the sequences. NaN counts as no value.
    ///
    /// # Panics
    /// If the numbers of values and tokens differ.
    pub fn means(&self, lengths: &[usize], values: &[f64]) -> Vec<ClusteredMean> {
        assert_eq!(values.len(), self.of_tokens.len(), "a value for each token");
        assert_eq!(
            values.len(),
            lengths.iter().sum::<usize>(),
            "lengths of all sequences"
        );
        let mut means = vec![ClusteredMean::new(); self.names.len()];
        let mut first = 0;
        for length in lengths {
            let mut sums = vec![(0.0, 0); self.names.len()];
            let own = first..first + length;
            for (class, value) in self.of_tokens[own.clone()].iter().zip(&values[own]) {
                if let Some(class) = class.filter(|_| !value.is_nan()) {
                    let (sum, count) = &mut sums[usize::from(class)];
                    *sum += value;
                    *count += 1;
                }
            }
            for (mean, (sum, count)) in means.iter_mut().zip(sums) {
                mean.push(sum, count);
            }
            first += length;
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deciles_keep_equal_values_together() {
        let check = |values: &[f64], expected: &[u16]| {
            let found = Classes::deciles("d", values).of_tokens;
            let found: Vec<u16> = found
                .iter()
                .map(|class| class.map_or(99, |c| c + 1))
                .collect();
            assert_eq!(found, expected, "{values:?}");
        };
        let ten: Vec<f64> = (0..10).rev().map(f64::from).collect();
        check(&ten, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
        check(&[1.0, f64::NAN, 1.0, 2.0], &[4, 99, 4, 9]);
        check(&[3.0], &[6]);
        check(&[], &[]);
    }

    #[test]
    fn frequent_tokens_are_in_the_last_deciles() {
        let tokens = [Some(7), Some(7), None, Some(7), Some(1), Some(7)];
        let classes = Classes::frequency_deciles("f", &tokens);
        let seven = Some(6);
        let expected = [seven, seven, None, seven, Some(1), seven];
        assert_eq!(classes.of_tokens, expected);
    }

    #[test]
    fn positions_double() {
        let classes = Classes::positions("position", [6, 2]);
        assert_eq!(classes.names, ["1", "2-3", "4-7"]);
        let expected = [
            None,
            Some(0),
            Some(1),
            Some(1),
            Some(2),
            Some(2),
            None,
            Some(0),
        ];
        assert_eq!(classes.of_tokens, expected);
    }

    proptest! {
        #[test]
        fn classes_divide_the_mean_of_all(lengths in prop::collection::vec(1usize..9, 1..6), seed: u64) {
            let all: usize = lengths.iter().sum();
            let number = |at: usize| ((seed.rotate_left(at as u32) >> 3) % 97) as f64;
            let values: Vec<f64> = (0..all).map(number).collect();
            let keys: Vec<f64> = (0..all).map(|at| number(at + 7)).collect();
            let classes = Classes::deciles("d", &keys);
            let means = classes.means(&lengths, &values);
            let count: u64 = means.iter().map(ClusteredMean::count).sum();
            prop_assert_eq!(count, all as u64);
            let sums = means.iter().flat_map(ClusteredMean::clusters).map(|own| own.sum);
            prop_assert_eq!(sums.sum::<f64>(), values.iter().sum::<f64>());
        }
    }
}
