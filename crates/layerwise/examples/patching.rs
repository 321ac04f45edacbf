//! A patching study: which block's state at which position carries what tells two prompts apart?
//!
//! Puts each state of the clean prompt into the run of the corrupted one, and prints the share of the clean prompt's logit
//! difference that this recovers: 1 is all of it, 0 none.
//!
//!     cargo run --release --package layerwise --example patching -- MODEL "The king said that he" "The queen said that he" " was" " is"

use layerwise::schedule::Bounds;
use layerwise::sweep::{Pair, PairStatistics, Patching, Plan, Runner};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, clean, corrupted, right, wrong] = arguments.as_slice() else {
        return Err("expected MODEL CLEAN CORRUPTED RIGHT WRONG".into());
    };
    run(folder, [clean, corrupted], [right, wrong])
}

pub(crate) fn run(
    folder: &str,
    prompts: [&str; 2],
    answers: [&str; 2],
) -> Result<(), Box<dyn Error>> {
    let opened = layerwise::open(folder)?;
    let tokenizer = opened.tokenizer.as_ref().ok_or("a tokenizer is needed")?;
    let [right, wrong] = [tokenizer.encode(answers[0])?, tokenizer.encode(answers[1])?];
    let [clean, corrupted] = [opened.tokens(prompts[0])?, opened.tokens(prompts[1])?];
    let positions = corrupted.len();
    let pair = Pair::new(clean, corrupted);
    let pair = pair.deciding(right.first().copied(), wrong.first().copied());

    // Steps that patches have in common run once, and so does the clean prompt.
    let bounds = Bounds::default().positions(Some(positions));
    let families = ["donor(resid.post[l]@p)".parse()?];
    let plan = Plan::new(opened.model.stack(), &families, bounds)?;
    let measure = Patching::at_last_position();
    let measured = Runner::new().measure(&opened.model, &plan, &measure, &[pair])?;
    let results = measured.results.iter().map(Vec::as_slice);
    let statistics = PairStatistics::collect(plan.entries().len(), results);

    // The plain schedule comes first; positions follow each other within a block.
    let plain = &measured.results[0][0];
    let best = plain.clean.as_ref().and_then(|own| own.logit_difference);
    let (best, worst) = best
        .zip(plain.last.logit_difference)
        .ok_or("an answer has tokens")?;
    println!(
        "clean {best:+.3}, corrupted {worst:+.3}; recovered by block (rows) and position (columns):"
    );
    for (block, row) in statistics[1..].chunks(positions).enumerate() {
        let shares = row.iter().map(|own| own.recovered.ratio().unwrap_or(0.0));
        let shares: Vec<String> = shares.map(|share| format!("{share:+.2}")).collect();
        println!("{block:>2} {}", shares.join(" "));
    }
    Ok(())
}
