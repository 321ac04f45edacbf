//! The values that edits take from sources other than the item.

use layerwise_transformer::Constants;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Means, named tensors and the partners of a run's items.
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Runner, Sources, partners};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let text = [vec![0, 5, 3, 8], vec![0, 2, 7, 1]];
/// // Each takes values of the other.
/// let others = partners(&text, 0).into_iter().flatten().map(|at| text[at].clone());
/// let plan = Plan::new(model.stack(), &["resample(mlp.out[1])".parse()?], 1)?;
/// let plan = plan.with_sources(Sources::default().partners(others.collect()));
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &text)?;
/// assert!(measured.results[0][1].kl_nats > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sources {
    /// Means of a reference text, and named tensors.
    pub constants: Arc<Constants>,
    /// For each item of the run, the sequence that `resample` takes values from; it has the item's length.
    pub partners: Arc<Vec<Vec<u32>>>,
}

impl Sources {
    /// Sets means and named tensors.
    #[must_use]
    pub fn constants(self, constants: Constants) -> Self {
        Self {
            constants: Arc::new(constants),
            ..self
        }
    }

    /// Sets, for each item of the run, the sequence that `resample` takes values from.
    #[must_use]
    pub fn partners(self, partners: Vec<Vec<u32>>) -> Self {
        Self {
            partners: Arc::new(partners),
            ..self
        }
    }

    /// Everything as bytes, for the key of a run; empty if there is nothing.
    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let mut add = |name: String, values: &ndarray::ArrayD<f32>| {
            parts.push(name.into_bytes());
            parts.push(format!("{:?}", values.shape()).into_bytes());
            parts.push(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        };
        for ((block, site), mean) in self.constants.means() {
            add(format!("mean {block:?} {site}"), mean);
        }
        for (name, tensor) in self.constants.tensors() {
            add(format!("tensor {name}"), tensor);
        }
        let ids = |ids: &Vec<u32>| ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        parts.extend(self.partners.iter().map(ids));
        parts
    }
}

/// For each sequence, the index of a sequence of another text with the same length and other tokens, in a seeded order; `None` if
/// there is none.
///
/// ```
/// use layerwise_sweep::partners_among;
///
/// let others = [vec![3, 4], vec![5, 6, 7]];
/// assert_eq!(partners_among(&[vec![1, 2], vec![1, 2, 3, 4]], &others, 0), [Some(0), None]);
/// ```
pub fn partners_among(
    sequences: &[Vec<u32>],
    others: &[Vec<u32>],
    seed: u64,
) -> Vec<Option<usize>> {
    let mut alike = by_length(others);
    for (length, alike) in &mut alike {
        layerwise_schedule::shuffle(alike, seed_of(*length, seed));
    }
    let partner = |(at, sequence): (usize, &Vec<u32>)| {
        let alike = alike.get(&sequence.len())?;
        let (before, after) = alike.split_at(at % alike.len());
        let mut from_here = after.iter().chain(before).copied();
        from_here.find(|other| others[*other] != *sequence)
    };
    sequences.iter().enumerate().map(partner).collect()
}

/// The indices of the sequences of each length.
fn by_length(sequences: &[Vec<u32>]) -> BTreeMap<usize, Vec<usize>> {
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, sequence) in sequences.iter().enumerate() {
        found.entry(sequence.len()).or_default().push(at);
    }
    found
}

/// Each length has a separate random stream, so that further lengths do not change it.
fn seed_of(length: usize, seed: u64) -> u64 {
    seed ^ (length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Pairs sequences of equal length by one seeded cyclic shift of a seeded shuffle, so that no sequence is its own partner.
///
/// Returns, for each sequence, the index of its partner; `None` if no other sequence has its length.
///
/// ```
/// use layerwise_sweep::partners;
///
/// let found = partners(&[vec![1, 2], vec![3, 4, 5], vec![6, 7], vec![8, 9]], 1);
/// assert_eq!(found[1], None);
/// let mut others: Vec<usize> = found.iter().flatten().copied().collect();
/// others.sort();
/// assert_eq!(others, [0, 2, 3]);
/// assert!(found.iter().enumerate().all(|(at, partner)| *partner != Some(at)));
/// ```
pub fn partners(sequences: &[Vec<u32>], seed: u64) -> Vec<Option<usize>> {
    let mut found = vec![None; sequences.len()];
    for (length, mut alike) in by_length(sequences) {
        let count = alike.len();
        if count < 2 {
            continue;
        }
        let seed = seed_of(length, seed);
        layerwise_schedule::shuffle(&mut alike, seed);
        let mut shifts: Vec<usize> = (1..count).collect();
        layerwise_schedule::shuffle(&mut shifts, seed.wrapping_add(1));
        let shift = shifts[0];
        for (place, at) in alike.iter().enumerate() {
            found[*at] = Some(alike[(place + shift) % count]);
        }
    }
    found
}
