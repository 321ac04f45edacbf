//! `growth`: the cost of runs as models grow, from the multiply-adds of their products and the speed of this machine.

use crate::arguments::{self, threads_or_cores};
use crate::memory::{self, Size};
use crate::{output, program};
use anyhow::Context;
use layerwise::architecture::{Mlp, ModelConfig};
use layerwise::schedule::EditFamily;
use layerwise::sweep::growth::{MODELS, Shape, Timed};
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
    /// Units to time
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    units: u32,
    /// Blocks of the model to time, at least two to swap
    #[arg(long, value_name = "N", default_value = "12", value_parser = clap::value_parser!(u32).range(2..))]
    layers: u32,
    /// Width of the model to time
    #[arg(long, value_name = "N", default_value = "768", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    width: u32,
    /// Tokens of a unit
    #[arg(long, value_name = "N", default_value = "512", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    context: u32,
    /// Refuse anything that would need more memory than this, such as 500M or 24G [default: the memory that is free]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<Size>,
}

/// A larger number of units, width or context is a typing error.
const MOST: i64 = 1 << 20;

/// The families of schedules, each with its edits.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("plain", &[]),
    ("drop", &["drop(l)"]),
    ("swap", &["swap(l,l+1)"]),
    ("drop and swap", &["drop(l)", "swap(l,l+1)"]),
];

fn families(edits: &[&str]) -> anyhow::Result<Vec<EditFamily>> {
    let parse = |edit: &&str| edit.parse().with_context(|| (*edit).to_owned());
    edits.iter().map(parse).collect()
}

/// Notes when each unit finished.
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

/// Runs the command.
///
/// # Errors
/// A model cannot be made or run, or output cannot be written.
pub fn growth(arguments: &Arguments) -> anyhow::Result<()> {
    let threads = threads_or_cores(arguments.threads);
    let timed = time(arguments, threads)?;
    let text = page(arguments.context as usize, threads, &timed)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn time(arguments: &Arguments, threads: NonZeroUsize) -> anyhow::Result<Timed> {
    let (layers, width, context) = (
        arguments.layers as usize,
        arguments.width as usize,
        arguments.context as usize,
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
    let timed = Shape {
        name: "timed",
        layers,
        width,
        keys: config.heads * 64,
        neurons: 4 * width,
        is_gated: false,
        vocab,
        is_parallel: false,
        is_tied: true,
    };
    let units = 0..arguments.units as usize;
    let budget = memory::budget(arguments.max_memory);
    let weights = timed.bytes(4.0);
    let tokens = 4.0 * (context * (width + units.len())) as f64;
    // While weights are packed they are in memory twice.
    budget.check(
        "the weights and units to time",
        (2.0 * weights + tokens) as u64,
    )?;
    let _memory = budget.hold("the weights", weights as u64)?;
    let model = Model::random(config, 0);
    let plan = Plan::new(model.stack(), &families(FAMILIES[3].1)?, MOST_SCHEDULES)?;
    let token = |unit: usize, at: usize| ((unit * 977 + at * at * 31 + at * 7) % vocab) as u32;
    let sequences: Vec<Vec<u32>> = units
        .map(|unit| (0..context).map(|at| token(unit, at)).collect())
        .collect();
    output::say(format_args!(
        "timing {} units of {context} tokens under {} schedules of {layers} blocks of width {width}, threads: {threads}",
        sequences.len(),
        plan.entries().len()
    ));
    let clock = Clock::default();
    let runner = Runner::new()
        .threads(threads)
        .memory(budget)
        .progress(&clock);
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

/// The most schedules of the timed model.
const MOST_SCHEDULES: usize = 4096;

const MILLION: f64 = 1e6;
const DAY: f64 = 86_400.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// The tables, in Markdown.
fn page(context: usize, threads: NonZeroUsize, timed: &Timed) -> anyhow::Result<String> {
    let mut text = format!(
        "Threads: {threads}; {:.1} GFLOP/s from {} units of {context} tokens.\n\n\
         Hours for a million tokens, by family of schedules:\n\n\
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
            let seconds =
                shape.operations(&shape.plan(&families(edits)?)?, context) * MILLION / timed.speed;
            let _ = write!(text, " {:.2} |", seconds / 3600.0);
            *days += seconds / DAY;
        }
        text.push('\n');
    }
    text += "\nNodes for all models in a day, by the sum, and by a schedule of shares with the spread of the timed units:\n\n\
             | schedules | node-days | nodes | longest node, hours |\n|---|---|---|---|\n";
    for ((family, _), days) in FAMILIES.iter().zip(days) {
        let nodes = timed.fewest_nodes(days * DAY, context, DAY);
        let hours = timed.longest_share(days * DAY, context, nodes) / 3600.0;
        let nodes = nodes.count();
        let _ = writeln!(text, "| {family} | {days:.2} | {nodes} | {hours:.2} |");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_row() {
        let timed = Timed {
            units: vec![3.0, 3.3, 2.9, 3.0],
            speed: 1e13,
        };
        let text = page(512, NonZeroUsize::MIN, &timed).unwrap();
        let lines = text.lines();
        assert_eq!(lines.filter(|line| line.starts_with("| pythia")).count(), 5);
    }
}
