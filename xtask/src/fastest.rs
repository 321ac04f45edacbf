//! `fastest`: finds the fastest schedule that loses little on a task.

use crate::arguments::{self, Inputs, Run};
use crate::experiments::core::data::Data;
use crate::experiments::sublayer_skip::search::{Found, Tried, fastest, schedules};
use crate::inputs::{self, OpenedModel};
use crate::tasks::tell_beginning;
use crate::{interrupt, output};
use anyhow::{Context, ensure};
use layerwise::tasks::read_own;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Options of `fastest`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The task: a .jsonl file with prompt, options and, if known, gold on each line
    #[arg(value_name = "FILE")]
    task: PathBuf,
    #[command(flatten)]
    inputs: Inputs,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<NonZeroUsize>,
    /// The fraction of the plain model's accuracy that may be lost (of agreement with its choices if gold is not given)
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    lose: f64,
    /// Take the first N items
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Print every schedule that was tried, as CSV
    #[arg(long)]
    all: bool,
}

/// Tokens of the text that similarities are estimated from.
const TOKENS: usize = 4096;

/// Runs the command.
///
/// # Errors
/// Inputs are invalid, or the user interrupts.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(
        (0.0..1.0).contains(&arguments.lose),
        "--lose {}: expected a fraction of at least 0 and below 1",
        arguments.lose
    );
    interrupt::watch(interrupt::LOST)?;
    let task = read_own(&arguments.task, arguments.items as usize)?;
    let models = inputs::open_models(&arguments.inputs)?;
    for (place, opened) in models.iter().enumerate() {
        let found = search(arguments, opened, &task).with_context(|| opened.name.clone())?;
        match arguments.all {
            true => {
                let rows = rows(opened, &found, place == 0)?;
                std::io::stdout().write_all(&rows)?;
            }
            false => print(arguments, opened, &found)?,
        }
    }
    Ok(())
}

fn search(
    arguments: &Arguments,
    opened: &OpenedModel,
    task: &layerwise::tasks::Task,
) -> anyhow::Result<Found> {
    let tokenizer = inputs::open_tokenizer(opened)?;
    let limited = arguments.inputs.rows.is_some() || arguments.inputs.tokens.is_some();
    let tokens = (!limited).then_some(TOKENS);
    let corpus = inputs::open_corpus(&arguments.inputs, tokens, opened)?;
    output::say(format_args!(
        "{}: {} schedules on {} items of {}",
        opened.name,
        schedules(opened.model.config().layers),
        task.items.len(),
        task.name
    ));
    let data = Data::default();
    let text = corpus.text(arguments.inputs.tokens);
    let how = (arguments.inputs.bos, &Run::unkept(arguments.threads));
    let subject = opened.alone(tokenizer.as_ref(), text, how, &data, None)?;
    if let Some(tokenizer) = &tokenizer {
        tell_beginning(&subject, tokenizer)?;
    }
    Ok(fastest(&subject, task, arguments.lose)?)
}

/// What the quality of a schedule is.
fn quality(found: &Found) -> &'static str {
    match found.is_agreement {
        true => "agreement",
        false => "accuracy",
    }
}

/// Every schedule that was tried with a model, as CSV; below a head for the `first` model.
fn rows(opened: &OpenedModel, found: &Found, first: bool) -> anyhow::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    if first {
        rows.write_record([
            "model",
            "schedule",
            "predicted_ratio",
            quality(found),
            "relative_loss",
            "relative_loss_se",
            "control",
        ])?;
    }
    let number = |value: f64| format!("{value:.4}");
    for tried in &found.tried {
        rows.write_record([
            output::plain(&opened.name),
            tried.edit.to_string(),
            number(tried.predicted_ratio),
            number(tried.quality),
            number(tried.loss),
            tried.loss_se.map_or(String::new(), number),
            tried.is_control.to_string(),
        ])?;
    }
    Ok(rows.into_inner()?)
}

fn print(arguments: &Arguments, opened: &OpenedModel, found: &Found) -> anyhow::Result<()> {
    match found.best.and_then(|best| found.tried.get(best)) {
        Some(tried) => {
            writeln!(std::io::stdout(), "{}", tried.edit)?;
            output::say(format_args!("{}: {}", opened.name, told(found, tried)));
        }
        None => output::say(format_args!(
            "{}: every schedule that was tried loses more than {}; raise --lose, or see them all with --all",
            opened.name, arguments.lose
        )),
    }
    Ok(())
}

fn told(found: &Found, tried: &Tried) -> String {
    let quality = quality(found);
    let error = tried.loss_se.map_or(String::new(), |error| {
        format!(" (standard error {:.1} %)", 100.0 * error)
    });
    let control = found.control().map_or(String::new(), |control| {
        let drawn = format!("; an equally large random choice, {}, loses", control.edit);
        format!("{drawn} {:.1} %", 100.0 * control.loss)
    });
    format!(
        "decoding should be {:.1} % faster by the bytes it reads, with 512 tokens cached; {quality} {:.3} of {:.3}, a loss of {:.1} %{error}, on {} items, chosen among {} schedules, so that it may lose more on other items{control}",
        100.0 * (tried.predicted_ratio - 1.0),
        tried.quality,
        found.plain,
        100.0 * tried.loss,
        found.items,
        found.tried.iter().filter(|tried| !tried.is_control).count(),
    )
}
