//! How the cost of the drop + swap sweep grows with tokens, blocks, width, schedules and threads, on random models.
//!
//!     cargo run --release --package layerwise --example scaling > benches/results/NAME-scaling.csv
//!
//! One thing varies at a time; each line is the best of three runs.

use layerwise::schedule::EditFamily;
use layerwise::sweep::{Divergence, Engine, Plan, SweepError};
use layerwise::transformer::{Model, ModelConfig};
use std::num::NonZeroUsize;
use std::time::Instant;

const BASE: Case = Case {
    varied: "base",
    layers: 8,
    width: 256,
    tokens: 256,
    sequences: 2,
    edits: &["drop(l)", "swap(l,l+1)"],
    threads: 1,
};

#[derive(Clone, Copy)]
struct Case {
    varied: &'static str,
    layers: usize,
    width: usize,
    tokens: usize,
    sequences: usize,
    edits: &'static [&'static str],
    threads: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut cases = vec![BASE];
    for sequences in [4, 8, 16] {
        cases.push(Case {
            varied: "sequences",
            sequences,
            ..BASE
        });
    }
    for tokens in [64, 128, 512] {
        cases.push(Case {
            varied: "tokens",
            tokens,
            ..BASE
        });
    }
    for layers in [4, 16, 32] {
        cases.push(Case {
            varied: "blocks",
            layers,
            ..BASE
        });
    }
    for width in [128, 512, 1024] {
        cases.push(Case {
            varied: "width",
            width,
            ..BASE
        });
    }
    let edits: [&[&str]; 3] = [
        &["drop(l)"],
        &["drop(l)", "swap(l,l+1)", "repeat(l)"],
        &["drop(l)", "swap(l,l+1)", "repeat(l)", "swap(l,m)"],
    ];
    for edits in edits {
        cases.push(Case {
            varied: "schedules",
            edits,
            ..BASE
        });
    }
    for count in (2..=threads).filter(|count| count.is_power_of_two()) {
        cases.push(Case {
            varied: "threads",
            threads: count,
            sequences: 8,
            ..BASE
        });
    }
    cases.push(Case {
        varied: "threads",
        sequences: 8,
        ..BASE
    });
    println!(
        "varied,blocks,width,tokens_a_sequence,sequences,schedules,planned_steps,naive_steps,threads,seconds,microseconds_per_token_and_planned_step"
    );
    for case in cases {
        measure(case)?;
    }
    Ok(())
}

fn measure(case: Case) -> Result<(), Box<dyn std::error::Error>> {
    let config = ModelConfig::tiny().with(|c| {
        c.layers = case.layers;
        c.model = case.width;
        c.heads = case.width / 64;
        c.kv_heads = case.width / 64;
        c.head = 64;
        c.neurons = 4 * case.width;
        c.vocab = 4096;
        c.context = 512;
    });
    let model = Model::random(config, 1);
    let families = case
        .edits
        .iter()
        .map(|text| text.parse())
        .collect::<Result<Vec<EditFamily>, _>>()?;
    let plan = Plan::new(model.stack(), &families, 4096)?;
    let tokens: Vec<u32> = (0..case.tokens as u32).map(|i| i * 37 % 4096).collect();
    let sequences: Vec<(usize, &Vec<u32>)> = (0..case.sequences).map(|i| (i, &tokens)).collect();
    let measure = Divergence::new();
    let engine = Engine::new(&model, &plan, &measure)
        .threads(NonZeroUsize::new(case.threads).expect("a case has threads"));
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        engine.run(&sequences, |_, _| Ok::<(), SweepError>(()))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let steps = (case.tokens * case.sequences * plan.planned_steps()) as f64;
    println!(
        "{},{},{},{},{},{},{},{},{},{best:.4},{:.4}",
        case.varied,
        case.layers,
        case.width,
        case.tokens,
        case.sequences,
        plan.entries().len(),
        plan.planned_steps(),
        plan.naive_steps(),
        case.threads,
        1e6 * best / steps
    );
    Ok(())
}
