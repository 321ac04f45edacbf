//! The sign that a neuron has when it is active.

use crate::core::error::ExperimentError;
use crate::core::plain::check_finite;
use crate::core::subject::Subject;
use layerwise_sweep::{Failure, Measure, MeasureId, Plan, Reached};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::{ArrayViewD, Ix2, s};

/// The number of first sequences of the text that activations are taken over.
pub(super) const SEQUENCES: usize = 16;

/// Sequences that run together.
const AT_ONCE: usize = 8;

/// A moment of a neuron's activation about 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The mean.
    First,
    /// The mean of the third powers.
    Third,
}

/// The signs of a neuron's moments: 1, −1, or 0 where a moment is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    first: i8,
    third: i8,
}

impl Signs {
    /// The signs in a plain MLP, where activation functions are positive when a neuron is active.
    pub const AS_WEIGHTS: Self = Self { first: 1, third: 1 };

    /// The sign of a moment.
    pub fn by(self, moment: Moment) -> i8 {
        match moment {
            Moment::First => self.first,
            Moment::Third => self.third,
        }
    }
}

/// The signs of each block's neurons: those of the weights in a plain MLP, those of the activations in a gated one.
///
/// # Errors
/// Memory is insufficient, numbers are not finite, or the user interrupts.
pub fn signs(subject: &Subject<'_>) -> Result<Vec<Vec<Signs>>, ExperimentError> {
    let config = subject.model.config();
    if !config.has_gated_mlp() {
        return Ok(vec![vec![Signs::AS_WEIGHTS; config.neurons]; config.layers]);
    }
    let runs = subject.runs.of_all_items();
    let runner = runs.runner.without_journals();
    let plan = Plan::plain(subject.model.stack())?;
    let sequences = subject.text.sequences();
    let neurons = config.layers * config.neurons;
    let bytes = neurons * (size_of::<[f64; 2]>() + size_of::<Signs>());
    let _held = subject.runs.hold("activations of neurons", bytes)?;
    let mut sums = vec![[0.0; 2]; neurons];
    // Run a few sequences at a time, so that few sums are in memory besides the totals.
    for items in sequences[..sequences.len().min(SEQUENCES)].chunks(AT_ONCE) {
        let measured = runner.measure_unkept(runs.model.clone(), &plan, &Activations, items)?;
        for own in measured.into_plain().iter() {
            for (sum, own) in sums.iter_mut().zip(own) {
                sum[0] += own[0];
                sum[1] += own[1];
            }
        }
    }
    let sign = |sum: f64| i8::from(sum > 0.0) - i8::from(sum < 0.0);
    let each = sums.chunks_exact(config.neurons.max(1)).map(|block| {
        let signs = block.iter().map(|sums| Signs {
            first: sign(sums[0]),
            third: sign(sums[1]),
        });
        signs.collect()
    });
    Ok(each.collect())
}

/// For each neuron of each block, the sums over positions 1..T−1 of its activation and of its third power.
struct Activations;

impl Measure for Activations {
    type Item = Vec<u32>;
    type Observer<'a> = Sums;
    type Reference = ();
    type Sums = Vec<[f64; 2]>;

    fn id(&self) -> MeasureId {
        MeasureId::new("activations", 1)
    }

    fn unit(&self) -> &'static str {
        "sequence"
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn observer<'a>(&'a self, _: &'a Model, _: &'a Vec<u32>) -> Option<Sums> {
        Some(Sums(Vec::new()))
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        observed: Option<Sums>,
    ) -> Result<((), Vec<[f64; 2]>), Failure> {
        check_finite(reached)?;
        Ok(((), observed.map_or_else(Vec::new, |Sums(sums)| sums)))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Vec<u32>>, (): &()) -> Result<Vec<[f64; 2]>, Failure> {
        Ok(Vec::new())
    }

    fn kept_bytes(&self, config: &ModelConfig, _: usize, _: usize) -> usize {
        2 * config.layers * config.neurons * size_of::<[f64; 2]>()
    }

    fn result_bytes(&self, config: &ModelConfig, items: &[Vec<u32>], _: usize) -> usize {
        items.len() * config.layers * config.neurons * size_of::<[f64; 2]>()
    }
}

/// The sums of the blocks so far, neuron by neuron.
struct Sums(Vec<[f64; 2]>);

impl Observer for Sums {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::MlpPost
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let neurons = activation.into_dimensionality::<Ix2>();
        let neurons = neurons.expect("neurons are [seq, neurons]");
        let mut sums = vec![[0.0; 2]; neurons.ncols()];
        for row in neurons.slice(s![1.., ..]).outer_iter() {
            for (sum, &value) in sums.iter_mut().zip(row) {
                let value = f64::from(value);
                sum[0] += value;
                sum[1] += value * value * value;
            }
        }
        self.0.extend(sums);
    }
}
