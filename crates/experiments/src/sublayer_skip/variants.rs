//! The schedules that are compared: which sublayers each leaves out.

use serde::{Deserialize, Serialize};

/// A kind of part that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Attention sublayers.
    DropAttn,
    /// MLP sublayers.
    DropMlp,
    /// Whole blocks.
    Drop,
    /// Sublayers of both kinds, ranked together.
    DropSublayers,
}

impl Kind {
    /// The kinds that consist of one sort of part.
    pub const OF_ONE_SORT: [Self; 3] = [Self::DropAttn, Self::DropMlp, Self::Drop];

    /// Its name in tables, which is the edit's name if there is such an edit.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropAttn => "drop_attn",
            Self::DropMlp => "drop_mlp",
            Self::Drop => "drop",
            Self::DropSublayers => "drop_sublayers",
        }
    }
}

/// A family: which parts of a kind are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The last k.
    Latter,
    /// The last k, except the very last.
    LatterLastKept,
    /// The first k.
    First,
    /// The first k after block 0.
    FirstBlockZeroKept,
    /// The k in the middle.
    Middle,
    /// The k with outputs most similar to their inputs.
    Similarity,
    /// The same, chosen one by one with the similarities of what is left.
    OneByOne,
    /// Drawn at random.
    Random,
}

impl Family {
    /// The families that are known without a model.
    pub const PLAIN: [Self; 5] = [
        Self::Latter,
        Self::LatterLastKept,
        Self::First,
        Self::FirstBlockZeroKept,
        Self::Middle,
    ];

    /// Whether tasks and continuations, which take longest, run for it.
    pub fn has_tasks(self) -> bool {
        matches!(
            self,
            Self::Latter | Self::LatterLastKept | Self::FirstBlockZeroKept | Self::Similarity
        )
    }

    /// The k of L blocks that it names; `None` if the stack is too short.
    pub fn sources(self, k: usize, layers: usize) -> Option<Vec<usize>> {
        let room = |needed: usize| (k > 0 && needed <= layers && k < layers).then_some(());
        let range = match self {
            Self::Latter => room(k).map(|()| layers - k..layers),
            Self::LatterLastKept => room(k + 1).map(|()| layers - 1 - k..layers - 1),
            Self::First => room(k).map(|()| 0..k),
            Self::FirstBlockZeroKept => room(k + 1).map(|()| 1..k + 1),
            Self::Middle => room(k).map(|()| (layers - k) / 2..(layers - k) / 2 + k),
            Self::Similarity | Self::OneByOne | Self::Random => None,
        };
        range.map(Iterator::collect)
    }
}

/// The fractions of the blocks to leave out; 0.33 is published.
pub const FRACTIONS: [f64; 3] = [0.25, 0.33, 0.5];

/// The number of L blocks to leave out, k = round(x·L).
pub(super) fn count(fraction: f64, layers: usize) -> usize {
    (fraction * layers as f64).round() as usize
}

/// One schedule that is compared with the plain one.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The kind of part left out.
    pub kind: Kind,
    /// The family.
    pub family: Family,
    /// The fraction of the blocks; for both kinds together, of the sublayers.
    pub fraction: f64,
    /// The number of parts.
    pub k: usize,
    /// The edit that does it.
    pub edit: String,
}

impl Variant {
    /// The edit that leaves out one kind of part of some blocks.
    pub fn new(kind: Kind, family: Family, fraction: f64, sources: &[usize]) -> Self {
        Self {
            kind,
            family,
            fraction,
            k: sources.len(),
            edit: format!("{}({})", kind.name(), set(sources)),
        }
    }

    /// The edit that leaves out attention sublayers and MLP sublayers, at least one in all.
    pub fn of_both(fraction: f64, attention: &[usize], mlp: &[usize]) -> Self {
        let parts = [(Kind::DropAttn, attention), (Kind::DropMlp, mlp)];
        let parts = parts.iter().filter(|(_, sources)| !sources.is_empty());
        let edits: Vec<String> = parts
            .map(|(kind, sources)| format!("{}({})", kind.name(), set(sources)))
            .collect();
        Self {
            kind: Kind::DropSublayers,
            family: Family::Similarity,
            fraction,
            k: attention.len() + mlp.len(),
            edit: edits.join(";"),
        }
    }
}

/// The variants that are known without a model, for a stack of this many blocks.
pub(super) fn plain_variants(layers: usize) -> Vec<Variant> {
    let mut variants = Vec::new();
    for kind in Kind::OF_ONE_SORT {
        for family in Family::PLAIN {
            for fraction in FRACTIONS {
                let sources = family.sources(count(fraction, layers), layers);
                variants
                    .extend(sources.map(|sources| Variant::new(kind, family, fraction, &sources)));
            }
        }
    }
    variants
}

/// Some blocks in the notation of edits: `5`, `4..8`, `[5,7,9..12]`.
fn set(sources: &[usize]) -> String {
    let mut sorted = sources.to_vec();
    sorted.sort_unstable();
    let runs: Vec<String> = sorted
        .chunk_by(|a, b| a + 1 == *b)
        .map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}..{}", run[0], run[run.len() - 1] + 1),
        })
        .collect();
    match runs.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", runs.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_schedule::{Edit, Residual, Schedule, Stack};

    #[test]
    fn families_name_their_blocks() {
        let check = |family: Family, k, expected: Option<Vec<usize>>| {
            assert_eq!(family.sources(k, 8), expected, "{family:?} {k}");
        };
        check(Family::Latter, 2, Some(vec![6, 7]));
        check(Family::LatterLastKept, 2, Some(vec![5, 6]));
        check(Family::First, 2, Some(vec![0, 1]));
        check(Family::FirstBlockZeroKept, 2, Some(vec![1, 2]));
        check(Family::Middle, 3, Some(vec![2, 3, 4]));
        check(Family::Latter, 0, None);
        check(Family::Latter, 8, None);
        check(Family::LatterLastKept, 7, Some((0..7).collect()));
        check(Family::Similarity, 2, None);
    }

    /// Every variant is an edit, and leaves out the stated number of parts, each once.
    #[test]
    fn variants_are_edits() {
        for layers in [1, 2, 8, 30] {
            let residual = Residual::Sequential;
            let plain = Schedule::plain(Stack::new(layers, residual)).unwrap();
            let mut both = plain_variants(layers);
            if layers > 4 {
                both.push(Variant::of_both(0.25, &[1, 3, 4], &[0]));
            }
            for variant in both {
                let edit: Edit = variant.edit.parse().unwrap();
                let altered = edit.apply(&plain).unwrap();
                let parts = match variant.kind {
                    Kind::Drop => 2 * variant.k,
                    _ => variant.k,
                };
                let left = plain.step_count() - altered.step_count();
                assert_eq!(left, parts, "{}", variant.edit);
            }
        }
        assert_eq!(
            Variant::of_both(0.25, &[1, 3, 4], &[0]).edit,
            "drop_attn([1,3..5]);drop_mlp(0)"
        );
        assert_eq!(plain_variants(30).len(), 45);
    }
}
