//! `growth`: what runs cost as models grow, from the numbers of their products and the speed of this machine.

use crate::arguments::{self, threads_or_cores};
use crate::{output, program};
use anyhow::Context;
use layerwise::architecture::{Mlp, ModelConfig};
use layerwise::journal::{RunKey, Shard};
use layerwise::schedule::{EditFamily, Residual, Stack};
use layerwise::sweep::{Begun, Divergence, Plan, Progress, Runner};
use layerwise::transformer::Model;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Options of `growth`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Units of a model with random weights are timed, so run it on an idle machine.

Examples:
  {0} growth
  {0} growth --layers 24 --width 1024", program::name()))]
pub struct Arguments {
    /// Threads of a node [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    /// Units that are timed
    #[arg(long, value_name = "N", default_value = "4")]
    units: NonZeroUsize,
    /// Blocks of the model that is timed
    #[arg(long, value_name = "N", default_value = "12")]
    layers: NonZeroUsize,
    /// Width of the model that is timed
    #[arg(long, value_name = "N", default_value = "768")]
    width: NonZeroUsize,
    /// Tokens of a unit
    #[arg(long, value_name = "N", default_value = "512")]
    context: NonZeroUsize,
}

/// A model of the paper: what its products and its memory follow from.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    layers: usize,
    width: usize,
    /// Width of the keys, and of the values.
    keys: usize,
    neurons: usize,
    is_gated: bool,
    vocab: usize,
    is_parallel: bool,
    is_tied: bool,
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

/// The 18 models of the paper, by their configs.
const MODELS: [Shape; 18] = [
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

/// The families of schedules, each with the edits that it consists of.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("plain", &[]),
    ("drop", &["drop(l)"]),
    ("swap", &["swap(l,l+1)"]),
    ("drop and swap", &["drop(l)", "swap(l,l+1)"]),
];

impl Shape {
    /// Matrix parameters of a block.
    fn block(&self) -> f64 {
        let attention = 2 * self.width * (self.width + self.keys);
        let mlp = if self.is_gated { 3 } else { 2 } * self.width * self.neurons;
        (attention + mlp) as f64
    }

    fn unembedding(&self) -> f64 {
        (self.width * self.vocab) as f64
    }

    /// Matrix parameters.
    fn parameters(&self) -> f64 {
        let tables = if self.is_tied { 1.0 } else { 2.0 };
        self.layers as f64 * self.block() + tables * self.unembedding()
    }

    /// Bytes of the weights, at so many a packed number; a table that is not tied is in f32.
    fn bytes(&self, number: f64) -> f64 {
        let table = if self.is_tied { 0.0 } else { 4.0 };
        number * (self.layers as f64 * self.block() + self.unembedding())
            + table * self.unembedding()
    }

    fn plan(&self, edits: &[&str]) -> anyhow::Result<Plan> {
        let residual = match self.is_parallel {
            true => Residual::Parallel,
            false => Residual::Sequential,
        };
        let families: Vec<EditFamily> = edits
            .iter()
            .map(|edit| edit.parse().with_context(|| (*edit).to_owned()))
            .collect::<anyhow::Result<_>>()?;
        Ok(Plan::new(
            Stack::new(self.layers, residual),
            &families,
            4096,
        )?)
    }

    /// Additions and multiplications of a token under all schedules of a plan, in a sequence of so many tokens.
    fn operations(&self, plan: &Plan, context: usize) -> f64 {
        // A step of a sequential stack is one of a block's two sublayers.
        let steps = if self.is_parallel { 1.0 } else { 2.0 };
        let blocks = plan.planned_steps() as f64 / steps;
        // Scores, and what they weigh: a token sees half of the sequence in the mean.
        let attending = 2.0 * (self.width * context) as f64;
        // The expected rows of the plain model take a second pass.
        let vocabulary = (plan.entries().len() + 1) as f64 * self.unembedding();
        2.0 * (blocks * self.block() + vocabulary) + blocks * attending
    }
}

/// Notes when each unit was finished.
#[derive(Default)]
struct Clock(Mutex<Vec<Instant>>);

impl Progress for Clock {
    fn begin(&self, _: &Begun<'_>) {
        self.finished(0);
    }

    fn finished(&self, _: usize) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(Instant::now());
    }

    fn end(&self) {}
}

/// What was timed.
struct Timed {
    /// Seconds of each unit.
    units: Vec<f64>,
    /// Additions and multiplications a second, by the mean.
    speed: f64,
}

/// Runs the command.
///
/// # Errors
/// A model that cannot be made or run, or output that cannot be written.
pub fn growth(arguments: &Arguments) -> anyhow::Result<()> {
    let threads = threads_or_cores(arguments.threads);
    let timed = time(arguments, threads)?;
    let text = page(arguments.context.get(), threads, &timed)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn time(arguments: &Arguments, threads: NonZeroUsize) -> anyhow::Result<Timed> {
    let (layers, width, context) = (
        arguments.layers.get(),
        arguments.width.get(),
        arguments.context.get(),
    );
    let vocab = 50_257;
    let config = ModelConfig::tiny().with(|config| {
        config.layers = layers;
        config.model = width;
        config.heads = width.div_ceil(64);
        config.kv_heads = config.heads;
        config.head = 64;
        config.neurons = 4 * width;
        config.mlp = Mlp::Plain;
        config.vocab = vocab;
        config.context = context;
    });
    let timed = shape(
        "timed",
        [layers, width, config.heads * 64, 4 * width, vocab],
        false,
        false,
        true,
    );
    let model = Model::random(config, 0);
    let plan = timed.plan(FAMILIES[3].1)?;
    let token = |unit: usize, at: usize| ((unit * 977 + at * at * 31 + at * 7) % vocab) as u32;
    let units = 0..arguments.units.get();
    let sequences: Vec<Vec<u32>> = units
        .map(|unit| (0..context).map(|at| token(unit, at)).collect())
        .collect();
    output::say(format_args!(
        "timing {} units of {context} tokens under {} schedules of {layers} blocks of width {width}, threads: {threads}",
        sequences.len(),
        plan.entries().len()
    ));
    let clock = Clock::default();
    let runner = Runner::new().threads(threads).progress(&clock);
    runner.measure(&model, &plan, &Divergence::new(), &sequences)?;
    let times = clock.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let between = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).as_secs_f64());
    let units: Vec<f64> = between.collect();
    let all: f64 = units.iter().sum();
    let operations = timed.operations(&plan, context) * (context * units.len()) as f64;
    Ok(Timed {
        speed: operations / all,
        units,
    })
}

const MILLION: f64 = 1e6;
const DAY: f64 = 86_400.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// The tables, in Markdown.
fn page(context: usize, threads: NonZeroUsize, timed: &Timed) -> anyhow::Result<String> {
    let mut text = format!(
        "Threads: {threads}; {:.1} GFLOP/s by {} units of {context} tokens.\n\n\
         Hours of a million tokens, by the schedules:\n\n\
         | model | parameters, 10⁹ | weights in f32, GiB | in bf16, GiB |",
        timed.speed / 1e9,
        timed.units.len()
    );
    for (family, _) in FAMILIES {
        let _ = write!(text, " {family} |");
    }
    text += "\n|---|---|---|---|---|---|---|---|\n";
    let mut days = [0.0; FAMILIES.len()];
    for shape in MODELS {
        let _ = write!(
            text,
            "| {} | {:.2} | {:.1} | {:.1} |",
            shape.name,
            shape.parameters() / 1e9,
            shape.bytes(4.0) / GIB,
            shape.bytes(2.0) / GIB
        );
        for ((_, edits), days) in FAMILIES.iter().zip(&mut days) {
            let seconds = shape.operations(&shape.plan(edits)?, context) * MILLION / timed.speed;
            let _ = write!(text, " {:.2} |", seconds / 3600.0);
            *days += seconds / DAY;
        }
        text.push('\n');
    }
    text += "\nNodes for all of them in a day, by the sum, and by the schedule of shares with the spread of the timed units:\n\n\
             | schedules | node-days | nodes | longest node, hours |\n|---|---|---|---|\n";
    for ((family, _), days) in FAMILIES.iter().zip(days) {
        let mut nodes = days.ceil().max(1.0) as u32;
        let longest = loop {
            let longest = simulated(days * DAY, context, timed, nodes)?;
            if longest <= DAY || nodes == Shard::MAX_COUNT {
                break longest;
            }
            nodes += 1;
        };
        let _ = writeln!(
            text,
            "| {family} | {days:.2} | {nodes} | {:.2} |",
            longest / 3600.0
        );
    }
    Ok(text)
}

/// Seconds of the node that ends last, where the units of all models take so many seconds in all, each node runs its share of
/// every model's, one model after the other, and a unit takes as much more or less than the mean as the timed ones did in turn.
fn simulated(seconds: f64, context: usize, timed: &Timed, nodes: u32) -> anyhow::Result<f64> {
    let mean = timed.units.iter().sum::<f64>() / timed.units.len() as f64;
    let units = (MILLION / context as f64).ceil() as usize;
    let first: Shard = format!("1/{nodes}").parse()?;
    let key = RunKey::of(["units"]);
    let costs = vec![context as u64; units];
    // A model's units differ from another's by the same factor on every node.
    let spread = |unit: usize| timed.units[unit % timed.units.len()] / mean;
    let busy = first.all().map(|shard| {
        let own = shard.units(&key, &costs);
        own.into_iter().map(spread).sum::<f64>() * seconds / units as f64
    });
    Ok(busy.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of parameters that the models' makers give, of which embeddings of positions and norms are left out here.
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
        let drop = gpt2.operations(&gpt2.plan(&["drop(l)"]).unwrap(), 512);
        // Dropping block l leaves 11 − l blocks to run anew.
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
        let text = page(512, NonZeroUsize::MIN, &timed).unwrap();
        let lines = text.lines();
        assert_eq!(lines.filter(|line| line.starts_with("| pythia")).count(), 5);
        let longest = simulated(50.0 * DAY, 512, &timed, 10).unwrap() / DAY;
        assert!((5.0..5.25).contains(&longest), "{longest}");
    }
}
