//! Sweeps your own schedules over your own text, with progress and a way to stop.
//!
//!     cargo run --release --package layerwise --example schedules -- MODEL text.txt

use layerwise::corpus::{self, Bos, Options};
use layerwise::schedule::EditFamily;
use layerwise::sweep::{Begun, Divergence, Plan, Progress, Runner, collect};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set it from anywhere, such as a handler of Ctrl-C: each thread ends within a schedule, and the run ends as interrupted.
static STOP: AtomicBool = AtomicBool::new(false);

struct Told;

impl Progress for Told {
    fn begin(&self, run: &Begun<'_>) {
        eprintln!("{} {}", run.items, run.units);
    }

    fn finished(&self, weight: usize) {
        eprintln!("{weight} tokens more");
    }

    fn end(&self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, text] = arguments.as_slice() else {
        return Err("expected MODEL TEXT".into());
    };
    run(folder, Path::new(text))
}

pub(crate) fn run(folder: &str, text: &Path) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let mut options = Options::new(64, opened.model.config().vocab);
    options.rows = Some(4);
    options.bos = opened.bos.map_or(Bos::None, Bos::Auto);
    let corpus = corpus::read(text, opened.tokenizer.as_ref(), &options)?;
    // Every block at half its weight, and the blocks in reverse order.
    let families: Vec<EditFamily> = vec!["scale(l,0.5)".parse()?, "reverse(0..L)".parse()?];
    let plan = Plan::new(opened.model.stack(), &families, 4096)?;
    STOP.store(false, Ordering::Relaxed);
    let runner = Runner::new()
        .threads(2.try_into()?)
        .progress(&Told)
        .stop(&STOP);
    let measured = runner.measure(&opened.model, &plan, &Divergence::new(), corpus.sequences())?;
    let statistics = collect(
        plan.entries().len(),
        measured.results.iter().map(Vec::as_slice),
    );
    for (label, found) in plan.labels().iter().zip(statistics) {
        let (mean, error) = (found.kl_nats.mean(), found.kl_nats.standard_error());
        println!(
            "{:16} {:.4} ± {:.4} nats",
            label.edit,
            mean.unwrap_or(0.0),
            error.unwrap_or(0.0)
        );
    }
    Ok(())
}
