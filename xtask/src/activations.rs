//! `activations`: what a model's sites hold on a text, as a file.

use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedModel};
use crate::layout::{Entry, Layout, first_rows};
use crate::manifest::{self, Manifest};
use crate::sources;
use crate::sweep::run_folder;
use crate::{arguments, interrupt, output, program};
use anyhow::{Context, bail, ensure};
use layerwise::schedule::{Edit, EditFamily, Schedule, Selection, Site, Source};
use layerwise::sweep::{self, Failure, Journals, MeasureId, Plan, SweepError, Work, WorkBytes};
use layerwise::transformer::{
    Address, Model, Observer, Place, Precision, Taken, Values, Workspace, shape_at_one_position,
};
use ndarray::{ArrayViewD, Axis};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Options of `activations`.
#[derive(clap::Args)]
#[command(after_help = format!("\
The file holds a tensor for each site and block, [tokens, …]: the rows of one sequence after those of another. Sites of heads \
have the axes [tokens, heads, head]. `tokens` are the token ids, `sequence_offsets` where each sequence begins, and at last their \
number, both in I64.

Examples:
  {0} activations --sites 'resid.post,attn.head_out[5,2]' --model gpt2-8x160 --rows 8 --out plain.safetensors
  {0} activations 'zero(attn.head_out[5,2])' --sites 'resid.post[6..]' --model gpt2-8x160 --out ablated.safetensors", program::name()))]
pub struct Arguments {
    /// The edit under which the model is run [default: the plain model]
    #[arg(value_name = "EDIT", default_value = "id")]
    edit: String,
    /// Sites, with blocks and units where not all are wanted, between commas: resid.post[3],attn.head_out[5,2]
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
    /// The file to write; FILE.run holds what is finished of it, and its manifest
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

/// A tensor of the file.
struct Tensor {
    name: String,
    place: Place,
    /// Where a block runs several times, which of them, from 0.
    occurrence: usize,
    /// The units; `None` for all.
    units: Option<Vec<usize>>,
    /// At one position.
    shape: Vec<usize>,
}

impl Tensor {
    fn row_bytes(&self, dtype: Precision) -> u64 {
        self.shape.iter().product::<usize>() as u64 * element_bytes(dtype)
    }
}

fn element_bytes(dtype: Precision) -> u64 {
    match dtype {
        Precision::Bf16 => 2,
        _ => 4,
    }
}

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be accepted, an output that cannot be written, or an interrupt.
pub fn activations(arguments: &Arguments) -> anyhow::Result<()> {
    output::check_file(&arguments.out)?;
    let folder = run_folder(&arguments.out);
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
    let (sourced, kept) =
        arguments
            .values
            .open(plan, opened, corpus.corpus.sequences(), &arguments.inputs)?;
    corpus.corpus.retain(|at| kept[at]);
    let sequences = corpus.corpus.sequences();
    sourced.check(opened, &sweep::Divergence::new(), sequences)?;
    let schedule = edit.apply(&Schedule::plain(model.stack())?)?;
    let selections = Selection::read_all(&arguments.sites, model.stack())
        .with_context(|| format!("--sites `{:.200}`", arguments.sites))?;
    let counts = counts(model, sourced.plan(), &schedule, &sequences[0])?;
    let tensors = tensors(opened, &counts, &selections)?;
    let file = Activations::new(tensors, sequences, arguments.dtype, &arguments.edit, opened)?;
    sourced.announce(opened, sequences);
    output::say(format_args!(
        "{}: {} tensors of {} tokens, {} MiB",
        opened.name,
        file.tensors.len(),
        corpus.corpus.tokens(),
        file.layout.bytes() >> 20
    ));
    interrupt::watch(true)?;
    let plan = sourced.with_means(opened, sequences, &arguments.run, Some(&folder))?;

    output::make_folder(&folder)?;
    let partial = folder.join("activations.partial");
    let is_begun = !arguments.run.fresh && file.layout.is_begun(&partial)?;
    let target = file.layout.begin(&partial, is_begun, sequences)?;
    let target = Mutex::new(target);
    let write = |at: usize, tokens: &Vec<u32>| {
        let rows = rows(model, &plan, &schedule, at, tokens, &file).map_err(Failure::other)?;
        let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
        let first = file.offsets[at];
        file.write(&mut target, first, &rows)
            .map_err(Failure::other)
    };
    let work = Work::new(file.id(), file.work_bytes(opened, &plan, sequences), write)
        .depending_on(|tokens: &Vec<u32>| tokens.clone());
    let runner = opened
        .runner(&arguments.run)
        .fresh(!is_begun)
        .journals(Journals::File(
            folder.join(format!("{}.journal", opened.name)),
        ));
    let plain = Plan::plain(model.stack())?.with_sources(plan.sources().clone());
    runner
        .measure(opened.subject(), &plain, &work, sequences)
        .with_context(|| opened.name.clone())?;
    drop(work);
    let target = target.into_inner().unwrap_or_else(PoisonError::into_inner);
    let finished = target
        .sync_all()
        .and_then(|()| fs::rename(&partial, &arguments.out));
    finished.with_context(|| format!("{}: cannot be written", arguments.out.display()))?;
    let mut manifest = Manifest::new(arguments.run.threads().get());
    let run = manifest::Run::new(opened, &corpus).with_sources(sourced.record());
    manifest.runs.push(run);
    output::write(&folder.join("manifest.json"), manifest.json()?.as_bytes())?;
    output::print_paths([&arguments.out])?;
    Ok(())
}

/// How often each block has each of its sites in a run.
fn counts(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    tokens: &[u32],
) -> Result<BTreeMap<Place, usize>, SweepError> {
    #[derive(Default)]
    struct Counting(BTreeMap<Place, usize>);
    impl Observer for Counting {
        fn wants(&self, address: Address) -> bool {
            address.site != Site::AttnPattern
        }
        fn observe(&mut self, address: Address, _: ArrayViewD<'_, f32>) {
            *self.0.entry((address.block, address.site)).or_default() += 1;
        }
    }
    let mut counting = Counting::default();
    run(model, plan, schedule, 0, tokens, &mut counting)?;
    Ok(counting.0)
}

/// Runs a schedule on the sequence of an index, with what its edits take of plain runs.
fn run(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    at: usize,
    tokens: &[u32],
    observer: &mut impl Observer,
) -> Result<(), SweepError> {
    let fails = |source| SweepError::DoesNotFit {
        unit: "sequence",
        item: at,
        source: Box::new(source),
    };
    let plain = &plan.entries()[0].member.schedule;
    let sources = plan.sources();
    let mut values = Values::of(Arc::clone(&sources.constants));
    for (source, own) in [
        (Source::Plain, Some(tokens)),
        (
            Source::Resample,
            sources.partners.get(at).map(Vec::as_slice),
        ),
    ] {
        let mut taken = Taken::of(schedule.overlay().taken_from(source));
        if let Some(own) = own.filter(|_| schedule.overlay().taken_from(source).next().is_some()) {
            model.run(own, plain, &mut taken).map_err(fails)?;
            values.take(source, taken);
        }
    }
    let end = model.run(tokens, (schedule, &values), observer);
    end.map(drop).map_err(fails)
}

/// The tensors of selections, each block and run of a block apart.
fn tensors(
    opened: &OpenedModel,
    counts: &BTreeMap<Place, usize>,
    selections: &[Selection],
) -> anyhow::Result<Vec<Tensor>> {
    let config = opened.model.config();
    let mut tensors: Vec<Tensor> = Vec::new();
    for selection in selections {
        let site = selection.site();
        ensure!(
            !matches!(site, Site::AttnPattern | Site::FinalNorm | Site::Logits),
            "--sites: `{site}` has no row for each token that could be written; expected a site of the residual stream, of heads or of the MLP"
        );
        ensure!(
            selection.chosen_positions().is_none(),
            "--sites: `{selection}`: expected all positions, which `sequence_offsets` tells apart"
        );
        let at_one = shape_at_one_position(config, site);
        let units: Option<Vec<usize>> = selection
            .chosen_units()
            .map(|units| units.members(at_one[0]).collect());
        let blocks: Vec<Option<usize>> = match (site.in_block(), selection.chosen_blocks()) {
            (false, _) => vec![None],
            (true, None) => (0..config.layers).map(Some).collect(),
            (true, Some(blocks)) => blocks.members(config.layers).map(Some).collect(),
        };
        for block in blocks {
            let runs = counts.get(&(block, site)).copied().unwrap_or(0);
            ensure!(
                runs > 0 || selection.chosen_blocks().is_none(),
                "--sites: `{selection}`: block {} has none under this edit",
                block.unwrap_or(0)
            );
            for occurrence in 0..runs {
                let mut name = match block {
                    None => site.to_string(),
                    Some(block) => format!("{site}[{block}]"),
                };
                if let (Some(units), Some(block)) = (selection.chosen_units(), block) {
                    name = format!("{site}[{block},{units}]");
                }
                if occurrence > 0 {
                    name = format!("{name}#{}", occurrence + 1);
                }
                let mut shape = at_one.clone();
                shape[0] = units.as_ref().map_or(shape[0], Vec::len);
                if tensors.iter().all(|known| known.name != name) {
                    tensors.push(Tensor {
                        name,
                        place: (block, site),
                        occurrence,
                        units: units.clone(),
                        shape,
                    });
                }
            }
        }
    }
    Ok(tensors)
}

/// The tensors of the file, and where they are.
struct Activations {
    tensors: Vec<Tensor>,
    dtype: Precision,
    layout: Layout,
    /// The first row of each sequence, and at last the number of rows.
    offsets: Vec<usize>,
}

impl Activations {
    fn new(
        tensors: Vec<Tensor>,
        sequences: &[Vec<u32>],
        dtype: Precision,
        edit: &str,
        opened: &OpenedModel,
    ) -> anyhow::Result<Self> {
        let offsets = first_rows(sequences);
        let tokens = offsets[offsets.len() - 1];
        let metadata = json!({"edit": edit, "model": opened.name, "precision": opened.model.precision().name()});
        let entries = tensors.iter().map(|tensor| Entry {
            name: tensor.name.clone(),
            dtype: match dtype {
                Precision::Bf16 => "BF16",
                _ => "F32",
            },
            shape: [&[tokens], tensor.shape.as_slice()].concat(),
            bytes: tensor.row_bytes(dtype) * tokens as u64,
        });
        Ok(Self {
            layout: Layout::new(&metadata, sequences, entries)?,
            tensors,
            dtype,
            offsets,
        })
    }

    /// The run that writes it.
    fn id(&self) -> MeasureId {
        MeasureId::new("activations", 1).with_settings(self.layout.hash())
    }

    /// Writes the rows of one sequence, one part for each tensor, from row `first` on.
    fn write(&self, file: &mut File, first: usize, rows: &[Vec<u8>]) -> std::io::Result<()> {
        for (at, (tensor, rows)) in self.tensors.iter().zip(rows).enumerate() {
            let start = self.layout.start(at) + tensor.row_bytes(self.dtype) * first as u64;
            file.seek(SeekFrom::Start(start))?;
            file.write_all(rows)?;
        }
        // What the journal tells to be finished is.
        file.sync_data()
    }

    /// The most bytes that the run and the rows of one sequence take.
    fn work_bytes(&self, opened: &OpenedModel, plan: &Plan, sequences: &[Vec<u32>]) -> WorkBytes {
        let config = opened.model.config();
        let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
        let rows = self.tensors.iter().map(|own| own.row_bytes(self.dtype));
        let rows = rows.sum::<u64>() as usize * longest;
        let taken = [Source::Plain, Source::Resample]
            .map(|source| Taken::bytes(config, plan.taken_from(source), longest, longest));
        WorkBytes {
            reading: 2 * rows
                + 2 * taken.iter().sum::<usize>()
                + Workspace::most_bytes(config, longest)
                + 3 * longest * config.model * size_of::<f32>(),
            result: 0,
        }
    }
}

/// The bytes of a sequence's rows, for each tensor.
fn rows(
    model: &Model,
    plan: &Plan,
    schedule: &Schedule,
    at: usize,
    tokens: &[u32],
    file: &Activations,
) -> Result<Vec<Vec<u8>>, SweepError> {
    let mut rows = Rows {
        file,
        seen: BTreeMap::new(),
        bytes: vec![Vec::new(); file.tensors.len()],
    };
    run(model, plan, schedule, at, tokens, &mut rows)?;
    Ok(rows.bytes)
}

struct Rows<'f> {
    file: &'f Activations,
    /// How often each place was met.
    seen: BTreeMap<Place, usize>,
    bytes: Vec<Vec<u8>>,
}

impl Observer for Rows<'_> {
    fn wants(&self, address: Address) -> bool {
        let place = (address.block, address.site);
        self.file.tensors.iter().any(|own| own.place == place)
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let place = (address.block, address.site);
        let met = self.seen.entry(place).or_default();
        let occurrence = *met;
        *met += 1;
        let tensors = self.file.tensors.iter().zip(&mut self.bytes);
        let own = tensors.filter(|(own, _)| (own.place, own.occurrence) == (place, occurrence));
        for (tensor, bytes) in own {
            let chosen = match &tensor.units {
                Some(units) => activation.select(Axis(1), units),
                None => activation.to_owned(),
            };
            match self.file.dtype {
                Precision::Bf16 => bytes.extend(chosen.iter().flat_map(|value| {
                    let bits = Precision::Bf16.round(*value).to_bits() >> 16;
                    (bits as u16).to_le_bytes()
                })),
                _ => bytes.extend(chosen.iter().flat_map(|value| value.to_le_bytes())),
            }
        }
    }
}
