//! `activations`: writes the activations of a model's sites on a text to a file.

use crate::arguments::{Inputs, Run};
use crate::inputs;
use crate::manifest::{self, Manifest};
use crate::sources;
use crate::sweep::run_folder;
use crate::{arguments, interrupt, output, program};
use anyhow::{Context, bail};
use layerwise::recordings::{self, Activations};
use layerwise::schedule::{Edit, EditFamily, Schedule, Selection};
use layerwise::sweep::{self, Journals, Plan};
use layerwise::transformer::Precision;
use std::path::PathBuf;

/// Options of `activations`.
#[derive(clap::Args)]
#[command(after_help = format!("\
The file has a tensor for each site and block, [tokens, …]: the rows of all sequences, one sequence after another. Sites of \
heads have the axes [tokens, heads, head]. `tokens` has the token ids, and `sequence_offsets` where each sequence begins, \
followed by the number of tokens, both in I64. The units of a tensor, which its name shows, are in ascending order.

Examples:
  {0} activations --sites 'resid.post,attn.head_out[5,2]' --model gpt2-8x160 --rows 8 --out plain.safetensors
  {0} activations 'zero(attn.head_out[5,2])' --sites 'resid.post[6..]' --model gpt2-8x160 --out ablated.safetensors", program::name()))]
pub struct Arguments {
    /// Run the model under this edit [default: the plain model]
    #[arg(value_name = "EDIT", default_value = "id")]
    edit: String,
    /// Sites, separated by commas, each with blocks and units unless all are wanted: resid.post[3],attn.head_out[5,2];
    /// not attn.pattern, final.norm or logits
    #[arg(long, value_name = "SITE,…")]
    sites: String,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    values: sources::Values,
    #[command(flatten)]
    run: Run,
    /// The number format of the values in the file
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = arguments::precision)]
    dtype: Precision,
    /// The file to write; FILE.run keeps finished sequences and the manifest
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, an output that cannot be written, or an interrupt.
pub fn activations(arguments: &Arguments) -> anyhow::Result<()> {
    output::check_file(&arguments.out)?;
    let folder = run_folder(&arguments.out);
    let manifest_file = folder.join("manifest.json");
    output::check_file(&manifest_file)?;
    let edit: Edit = arguments
        .edit
        .parse()
        .with_context(|| format!("edit `{:.200}`", arguments.edit))?;
    let models = inputs::open_models(&arguments.inputs)?;
    let [opened] = models.as_slice() else {
        bail!(
            "expected one model, found {}: name one with --model",
            models.len()
        );
    };
    let model = &opened.model;
    let mut corpus = inputs::open_corpus(&arguments.inputs, None, opened)?;
    let family: EditFamily = arguments.edit.parse()?;
    let plan = Plan::new(model.stack(), &[family], 1)
        .with_context(|| format!("edit `{:.200}`", arguments.edit))?;
    let (sourced, kept) = arguments.values.open(
        plan,
        opened,
        corpus.corpus.sequences(),
        &arguments.inputs,
        sources::CUT,
    )?;
    corpus.corpus.retain(|at| kept[at]);
    let sequences = corpus.corpus.sequences();
    sourced.check(opened, &sweep::Divergence::new(), sequences)?;
    let schedule = edit.apply(&Schedule::plain(model.stack())?)?;
    let selections = Selection::read_all(&arguments.sites, model.stack())
        .with_context(|| format!("--sites `{:.200}`", arguments.sites))?;
    let counts = recordings::occurrences(model, sourced.plan(), &schedule, &sequences[0])?;
    let tensors = recordings::tensors(model.config(), &counts, &selections).context("--sites")?;
    let (edit, subject) = (&arguments.edit, opened.subject());
    let file = Activations::new(tensors, sequences, arguments.dtype, edit, &subject)?;
    let inputs = [
        ("the run folder", Some(folder.clone())),
        ("--corpus", Some(corpus.path.clone())),
    ];
    let inputs = inputs.into_iter().chain(arguments.values.named_files());
    output::check_distinct(
        [("--out", Some(arguments.out.clone()))],
        inputs.chain(opened.named_files()),
    )?;
    sourced.announce(opened, sequences);
    output::say(format_args!(
        "{}: {} tensors of {} tokens, {} MiB",
        opened.name,
        file.tensors(),
        corpus.corpus.tokens(),
        file.bytes() >> 20
    ));
    interrupt::watch(interrupt::KEPT)?;
    let plan = sourced.with_means(opened, sequences, &arguments.run, Some(&folder))?;

    output::make_folder(&folder)?;
    let partial = folder.join("activations.partial");
    let is_begun = !arguments.run.fresh && file.is_begun(&partial)?;
    let journal = folder.join(format!("{}.journal", opened.name));
    let target = file.begin(&partial, &journal, is_begun, sequences)?;
    let runner = opened
        .runner(&arguments.run)
        .fresh(!is_begun)
        .journals(Journals::File(journal));
    let target = file
        .record(target, &runner, subject, (&plan, &schedule), sequences)
        .with_context(|| opened.name.clone())?;
    let finished = target
        .sync_all()
        .and_then(|()| recordings::move_file(&partial, &arguments.out));
    finished.with_context(|| format!("{}: cannot be written", arguments.out.display()))?;
    let mut manifest = Manifest::new(arguments.run.threads().get());
    let run = manifest::Run::new(opened, &corpus).with_sources(sourced.record());
    manifest.runs.push(run);
    output::write(&manifest_file, manifest.json()?.as_bytes())?;
    output::print_paths([&arguments.out])?;
    Ok(())
}
