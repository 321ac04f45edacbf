//! The cost of edits of values: sweeps over the heads of a model with GPT-2 small's shape, next to dropping its blocks, and the
//! plain pass without edits and with observers that do nothing.
//!
//!     cargo run --release --package layerwise --example values -- THREADS TOKENS SEQUENCES REPEATS > benches/results/NAME-values.csv
//!
//! `gflops` is the work as `benches/README.md` counts it, divided by the time it took; compared with the machine's peak, it gives
//! the fraction of the peak that a sweep reaches. Each line is the best of its repeats.

use layerwise::schedule::{Bounds, EditFamily, Schedule, Source, Step};
use layerwise::sweep::{
    Divergence, Engine, Plan, Runner, Sources, SweepError, add_means, partners,
};
use layerwise::transformer::{Address, Constants, Model, ModelConfig, Observer};
use ndarray::{ArrayViewD, ArrayViewMutD};
use std::num::NonZeroUsize;
use std::time::Instant;

const SWEEPS: [&str; 6] = [
    "drop(l)",
    "zero(attn.head_out[l,h])",
    "mean(attn.head_out[l,h])",
    "resample(attn.head_out[l,h])",
    "window(l,8)",
    "zero(attn.out[0]);plain(attn.head_out[l,0])",
];

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// An observer that wants no activation.
struct Idle;

impl Observer for Idle {
    fn wants(&self, _: Address) -> bool {
        false
    }

    fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}

    fn edits(&self, _: Address) -> bool {
        false
    }

    fn edit(&mut self, _: Address, _: ArrayViewMutD<'_, f32>) {}
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, threads, tokens, sequences, repeats] = arguments.as_slice() else {
        return Err("expected THREADS TOKENS SEQUENCES REPEATS".into());
    };
    let (tokens, sequences): (usize, usize) = (tokens.parse()?, sequences.parse()?);
    let (threads, repeats): (NonZeroUsize, usize) = (threads.parse()?, repeats.parse()?);
    let config = ModelConfig::tiny().with(|c| {
        c.layers = 12;
        c.model = 768;
        c.heads = 12;
        c.kv_heads = 12;
        c.head = 64;
        c.neurons = 3072;
        c.vocab = 50_257;
        c.context = 1024;
    });
    let model = Model::random(config, 1);
    let text: Vec<Vec<u32>> = (0..sequences as u32)
        .map(|at| {
            let token = |i: u32| (i * 7919 + at * 104_729) % 50_257;
            (0..tokens as u32).map(token).collect()
        })
        .collect();
    println!("what,schedules,planned_steps,threads,tokens,seconds,gflops");
    let plain = Schedule::plain(model.stack())?;
    let pass = |observed: bool| -> Outcome<f64> {
        let start = Instant::now();
        for sequence in &text {
            match observed {
                true => model.run(sequence, &plain, &mut Idle)?,
                false => model.run(sequence, &plain, &mut ())?,
            };
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let work = tokens as f64 * sequences as f64 * steps_flop(&model, plain.steps(), tokens);
    for (name, observed) in [("plain pass", false), ("plain pass, idle observer", true)] {
        let mut best = f64::INFINITY;
        for _ in 0..repeats {
            best = best.min(pass(observed)?);
        }
        let steps = plain.steps().len();
        let all = tokens * sequences;
        println!(
            "\"{name}\",1,{steps},1,{all},{best:.4},{:.1}",
            work / best / 1e9
        );
    }
    for family in SWEEPS {
        sweep(&model, &text, family, threads, repeats)?;
    }
    Ok(())
}

/// Operations of some steps for one token of a sequence of this length: products, and causal attention at half of T × T.
fn steps_flop<'s>(model: &Model, steps: impl IntoIterator<Item = &'s Step>, tokens: usize) -> f64 {
    let c = model.config();
    let heads = c.heads * c.head;
    let attention = 2.0 * (4 * c.model * heads) as f64 + 2.0 * (tokens * heads) as f64;
    let mlp = 2.0 * (2 * c.model * c.neurons) as f64;
    // Half a block is a step.
    let count = steps.into_iter().count() as f64;
    count * (attention + mlp) / 2.0
}

fn sweep(
    model: &Model,
    text: &[Vec<u32>],
    family: &str,
    threads: NonZeroUsize,
    repeats: usize,
) -> Outcome<()> {
    let families: Vec<EditFamily> = vec![family.parse()?];
    let plan = Plan::new(model.stack(), &families, Bounds::default())?;
    let means = plan.taken_from(Source::Mean);
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        // The cost of an edit includes its means and partners.
        let start = Instant::now();
        let mut constants = Constants::default();
        if !means.is_empty() {
            let runner = Runner::new().threads(threads);
            add_means(&mut constants, &runner, model, text, &means)?;
        }
        let found = partners(text, 0).into_iter().flatten();
        let sources = Sources::default().constants(constants);
        let sources = sources.partners(found.map(|at| text[at].clone()).collect());
        let plan = plan.clone().with_sources(sources);
        let measure = Divergence::new();
        let engine = Engine::new(model, &plan, &measure).threads(threads);
        let items: Vec<(usize, &Vec<u32>)> = text.iter().enumerate().collect();
        engine.run(&items, |_, _| Ok::<(), SweepError>(()))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let tokens: usize = text.iter().map(Vec::len).sum();
    let c = model.config();
    // Half a block is a step; add the vocabulary pass of every schedule, twice for the plain one's expected rows.
    let step = steps_flop(
        model,
        &plan.entries()[0].member.schedule.steps()[..2],
        text[0].len(),
    ) / 2.0;
    let vocabulary = 2.0 * (c.model * c.vocab) as f64 * (plan.entries().len() + 1) as f64;
    let work = tokens as f64 * (step * plan.planned_steps() as f64 + vocabulary);
    println!(
        "\"{family}\",{},{},{threads},{tokens},{best:.4},{:.1}",
        plan.entries().len(),
        plan.planned_steps(),
        work / best / 1e9
    );
    Ok(())
}
