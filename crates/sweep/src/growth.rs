//! How the cost of runs grows with model size: multiply-adds, memory, and division into shares.

use crate::{Plan, SweepError};
use layerwise_journal::{RunKey, Shard};
use layerwise_schedule::{EditFamily, Residual, Stack};

/// The sizes of a model that decide its multiply-adds and its memory.
///
/// ```
/// use layerwise_sweep::growth::MODELS;
///
/// let gpt2 = &MODELS[0];
/// let (plain, drops) = (gpt2.plan(&[])?, gpt2.plan(&["drop(l)".parse()?])?);
/// // The plain model and twelve others share their first blocks.
/// assert!(gpt2.operations(&drops, 512) < 13.0 * gpt2.operations(&plain, 512));
/// assert_eq!(gpt2.bytes(2.0), gpt2.bytes(4.0) / 2.0); // bf16 and f32; its tables are tied
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// The number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width of the keys, and of the values.
    pub keys: usize,
    /// Neurons of a block.
    pub neurons: usize,
    /// Whether its MLPs are gated.
    pub is_gated: bool,
    /// The size of the vocabulary, in tokens.
    pub vocab: usize,
    /// Whether attention and MLP of a block read the same residual stream.
    pub is_parallel: bool,
    /// Whether embedding and unembedding are one matrix.
    pub is_tied: bool,
}

const fn shape(
    name: &'static str,
    [layers, width, keys, neurons, vocab]: [usize; 5],
    is_gated: bool,
    is_parallel: bool,
    is_tied: bool,
) -> Shape {
    Shape {
        name,
        layers,
        width,
        keys,
        neurons,
        is_gated,
        vocab,
        is_parallel,
        is_tied,
    }
}

/// The 18 models of the paper, from their configs.
pub const MODELS: [Shape; 18] = [
    shape("gpt2", [12, 768, 768, 3072, 50257], false, false, true),
    shape(
        "gpt2-medium",
        [24, 1024, 1024, 4096, 50257],
        false,
        false,
        true,
    ),
    shape(
        "gpt2-large",
        [36, 1280, 1280, 5120, 50257],
        false,
        false,
        true,
    ),
    shape("gpt2-xl", [48, 1600, 1600, 6400, 50257], false, false, true),
    shape(
        "pythia-410m",
        [24, 1024, 1024, 4096, 50304],
        false,
        true,
        false,
    ),
    shape(
        "pythia-1.4b",
        [24, 2048, 2048, 8192, 50304],
        false,
        true,
        false,
    ),
    shape(
        "pythia-2.8b",
        [32, 2560, 2560, 10240, 50304],
        false,
        true,
        false,
    ),
    shape(
        "pythia-6.9b",
        [32, 4096, 4096, 16384, 50432],
        false,
        true,
        false,
    ),
    shape(
        "pythia-12b",
        [36, 5120, 5120, 20480, 50688],
        false,
        true,
        false,
    ),
    shape("phi-1", [24, 2048, 2048, 8192, 51200], false, true, false),
    shape("phi-1_5", [24, 2048, 2048, 8192, 51200], false, true, false),
    shape("phi-2", [32, 2560, 2560, 10240, 51200], false, true, false),
    shape(
        "Llama-3.2-1B",
        [16, 2048, 512, 8192, 128256],
        true,
        false,
        true,
    ),
    shape(
        "Llama-3.2-3B",
        [28, 3072, 1024, 8192, 128256],
        true,
        false,
        true,
    ),
    shape(
        "Qwen2.5-0.5B",
        [24, 896, 128, 4864, 151936],
        true,
        false,
        true,
    ),
    shape(
        "Qwen2.5-1.5B",
        [28, 1536, 256, 8960, 151936],
        true,
        false,
        true,
    ),
    shape(
        "Qwen2.5-3B",
        [36, 2048, 256, 11008, 151936],
        true,
        false,
        true,
    ),
    shape(
        "Qwen2.5-14B",
        [48, 5120, 1024, 13824, 152064],
        true,
        false,
        false,
    ),
];

impl Shape {
    /// The number of matrix parameters of a block.
    fn block(&self) -> f64 {
        let attention = 2 * self.width * (self.width + self.keys);
        let mlp = if self.is_gated { 3 } else { 2 } * self.width * self.neurons;
        (attention + mlp) as f64
    }

    fn unembedding(&self) -> f64 {
        (self.width * self.vocab) as f64
    }

    /// The number of matrix parameters.
    pub fn parameters(&self) -> f64 {
        let tables = if self.is_tied { 1.0 } else { 2.0 };
        self.layers as f64 * self.block() + tables * self.unembedding()
    }

    /// Bytes of the weights, with `number` bytes per packed number; an untied embedding table is in f32.
    pub fn bytes(&self, number: f64) -> f64 {
        let table = if self.is_tied { 0.0 } else { 4.0 };
        number * (self.layers as f64 * self.block() + self.unembedding())
            + table * self.unembedding()
    }

    /// The plain schedule and those of some families.
    ///
    /// # Errors
    /// A family does not fit the number of blocks.
    pub fn plan(&self, families: &[EditFamily]) -> Result<Plan, SweepError> {
        let residual = match self.is_parallel {
            true => Residual::Parallel,
            false => Residual::Sequential,
        };
        Plan::new(Stack::new(self.layers, residual), families, 4096)
    }

    /// Additions and multiplications per token under all schedules of a plan, in a sequence of `context` tokens.
    pub fn operations(&self, plan: &Plan, context: usize) -> f64 {
        // In a sequential stack, each of a block's two sublayers is a step.
        let steps = if self.is_parallel { 1.0 } else { 2.0 };
        let blocks = plan.planned_steps() as f64 / steps;
        // Scores and weighted sums: a token attends to half of the sequence on average.
        let attending = 2.0 * (self.width * context) as f64;
        // The expected rows of the plain model take a second pass.
        let vocabulary = (plan.entries().len() + 1) as f64 * self.unembedding();
        2.0 * (blocks * self.block() + vocabulary) + blocks * attending
    }
}

/// The number of tokens in [`Timed::longest_share`].
const MILLION: f64 = 1e6;

/// Timings of a model.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Seconds of each unit.
    pub units: Vec<f64>,
    /// Additions and multiplications per second, on average.
    pub speed: f64,
}

impl Timed {
    /// Seconds of the slowest node. The units of a million tokens, over all models, take `seconds` in all, and each node runs its
    /// share of every model. Relative to the mean, the units vary as the timed ones do, in turn.
    pub fn longest_share(&self, seconds: f64, context: usize, nodes: Shard) -> f64 {
        let mean = self.units.iter().sum::<f64>() / self.units.len() as f64;
        let units = (MILLION / context as f64).ceil() as usize;
        let key = RunKey::of(["units"]);
        let costs = vec![context as u64; units];
        // A unit's factor is the same on every node.
        let spread = |unit: usize| self.units[unit % self.units.len()] / mean;
        let shares = nodes.divide(&key, &costs).into_iter();
        let busy = shares.map(|own| own.into_iter().map(spread).sum::<f64>());
        busy.fold(0.0, f64::max) * seconds / units as f64
    }

    /// The first share of the division over the fewest nodes of which the slowest takes at most `most` seconds, as
    /// [`Timed::longest_share`] counts them; over [`Shard::MAX_COUNT`] nodes if fewer do not suffice.
    ///
    /// ```
    /// use layerwise_sweep::growth::Timed;
    ///
    /// let timed = Timed { units: vec![3.0, 3.3, 2.9, 3.0], speed: 1e13 };
    /// let first = timed.fewest_nodes(50.0, 512, 10.0);
    /// assert_eq!(first.count(), 6); // Five nodes take 10 seconds on average, and the slowest takes more.
    /// ```
    pub fn fewest_nodes(&self, seconds: f64, context: usize, most: f64) -> Shard {
        let first = |nodes: u32| -> Shard {
            let shard = format!("1/{nodes}").parse();
            shard.expect("from 1 to the most shards")
        };
        // More nodes never take longer, so the fewest are found by halving.
        let (mut fewest, mut enough) = ((seconds / most).ceil().max(1.0) as u32, Shard::MAX_COUNT);
        while fewest < enough {
            let between = fewest.midpoint(enough);
            match self.longest_share(seconds, context, first(between)) <= most {
                true => enough = between,
                false => fewest = between + 1,
            }
        }
        first(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameter counts as published; embeddings of positions and norms are left out here.
    #[test]
    fn shapes_have_the_published_sizes() {
        let check = |name: &str, billions: f64| {
            let shape = MODELS.iter().find(|shape| shape.name == name).unwrap();
            let found = shape.parameters() / 1e9;
            assert!((found / billions - 1.0).abs() < 0.02, "{name}: {found}");
        };
        check("gpt2", 0.124);
        check("gpt2-xl", 1.557);
        check("pythia-410m", 0.405);
        check("pythia-6.9b", 6.857);
        check("pythia-12b", 11.846);
        check("phi-2", 2.78);
        check("Llama-3.2-1B", 1.236);
        check("Llama-3.2-3B", 3.213);
        check("Qwen2.5-0.5B", 0.494);
        check("Qwen2.5-14B", 14.77);
    }

    #[test]
    fn a_family_costs_what_its_steps_cost() {
        let gpt2 = MODELS[0];
        let plain = gpt2.operations(&gpt2.plan(&[]).unwrap(), 512);
        // Twelve blocks, and two passes over the vocabulary.
        let expected =
            2.0 * (12.0 * gpt2.block() + 2.0 * gpt2.unembedding()) + 12.0 * 2.0 * 768.0 * 512.0;
        assert!((plain / expected - 1.0).abs() < 1e-12);
        let drop = gpt2.operations(&gpt2.plan(&["drop(l)".parse().unwrap()]).unwrap(), 512);
        // Dropping block l leaves 11 − l blocks to run again.
        let more =
            2.0 * (66.0 * gpt2.block() + 12.0 * gpt2.unembedding()) + 66.0 * 2.0 * 768.0 * 512.0;
        assert!(
            (drop / (expected + more) - 1.0).abs() < 1e-12,
            "{}",
            drop / (expected + more)
        );
    }

    #[test]
    fn shares_take_little_longer_than_the_mean() {
        let timed = Timed {
            units: vec![3.0, 3.3, 2.9, 3.0],
            speed: 1e13,
        };
        let nodes = "1/10".parse().unwrap();
        let longest = timed.longest_share(50.0, 512, nodes);
        assert!((5.0..5.25).contains(&longest), "{longest}");
    }

    #[test]
    fn the_fewest_nodes_are_those_that_one_less_would_not_do_for() {
        let timed = Timed {
            units: vec![3.0, 3.3, 2.9, 3.0],
            speed: 1e13,
        };
        let check = |seconds: f64, most: f64| {
            let first = timed.fewest_nodes(seconds, 512, most);
            assert_eq!(first.index(), 1);
            assert!(timed.longest_share(seconds, 512, first) <= most);
            if first.count() > 1 {
                let fewer = format!("1/{}", first.count() - 1).parse().unwrap();
                assert!(timed.longest_share(seconds, 512, fewer) > most);
            }
        };
        check(50.0, 100.0);
        check(50.0, 10.0);
        check(1e4, 60.0);
        let too_short = timed.fewest_nodes(1e9, 512, 1.0);
        assert_eq!(too_short.count(), Shard::MAX_COUNT);
    }
}
