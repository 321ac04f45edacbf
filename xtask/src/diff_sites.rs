//! `diff-sites`: where a model's activations first differ from a reference's.

use crate::arguments::Inputs;
use crate::inputs;
use crate::memory;
use anyhow::{Context, bail, ensure};
use layerwise::files::{self, Links};
use layerwise::schedule::Schedule;
use layerwise::transformer::{Recording, Site, check_site};
use ndarray::ArrayViewD;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// |Δ| that counts as agreement, as a fraction of the reference tensor's largest value.
const TOLERANCE: f64 = 5e-5;

/// An activation may be so many times as far from the reference in f64 as the reference's own f32.
const ERROR_RATIO: f64 = 4.0;

/// Options of `diff-sites`.
#[derive(clap::Args)]
#[command(after_help = "\
The reference holds `tokens` (I64 or I32, [seq]) and activations in F32, named f32/<block>/<site>, f32/embed,
f32/final.norm and f32/logits, as fixtures/parity/sites.py writes them with Hugging Face transformers.
The first site beyond 5e-5 of its largest value is named, and the exit code is then not 0.
On long sequences transformers' own f32 may be off as far. With `--precision f32 f64` the reference holds f64/… as well:
then a site agrees too where it is at most four times as far from f64 as the reference's f32 is.")]
pub struct Arguments {
    /// An embedded model's name, or a checkpoint folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// The reference's activations
    #[arg(value_name = "REFERENCE.safetensors")]
    reference: PathBuf,
}

/// The worst of one site over all blocks.
#[derive(Clone, Copy, Default)]
struct Worst {
    difference: f64,
    scale: f64,
    block: Option<usize>,
}

impl Worst {
    fn relative(self) -> f64 {
        if self.scale > 0.0 {
            self.difference / self.scale
        } else {
            self.difference
        }
    }
}

/// A tensor whose data end beyond the file, with that end: the safetensors crate adds up such ends unchecked.
pub(crate) fn beyond(bytes: &[u8]) -> Option<(String, u64)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: Map<String, Value> = serde_json::from_slice(header).ok()?;
    header.into_iter().find_map(|(tensor, entry)| {
        let end = entry.get("data_offsets")?.get(1)?.as_u64()?;
        (end > bytes.len() as u64).then_some((tensor, end))
    })
}

/// Runs the command.
///
/// # Errors
/// A model or reference that cannot be read, or a site that differs.
pub fn diff_sites(arguments: &Arguments) -> anyhow::Result<()> {
    let path = &arguments.reference;
    let file = files::open(path, Links::Follow)?;
    memory::budget(None).check(&path.display().to_string(), file.size())?;
    let bytes = file.read_all(u64::MAX)?;
    if let Some((tensor, end)) = beyond(&bytes) {
        bail!(
            "{}: tensor {tensor:?}: expected data_offsets within the file's {} bytes, found {end}",
            path.display(),
            bytes.len()
        );
    }
    let reference = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("{}: not a safetensors file", path.display()))?;
    let inputs = Inputs::of_model(&arguments.model);
    let opened = inputs::open_models(&inputs)?
        .pop()
        .context("one model was named")?;
    let config = opened.model.config();
    let in_tokens = || format!("{}: tensor `tokens`", path.display());
    let tokens = tokens(&reference).with_context(in_tokens)?;

    let sites: Vec<Site> = Site::ALL
        .into_iter()
        .filter(|site| check_site(config, *site).is_ok())
        .collect();
    let mut recording = Recording::of(config, &sites)?;
    let plain = Schedule::plain(opened.model.stack())?;
    opened
        .model
        .observed_logits(&tokens, &plain, &mut recording)
        .with_context(in_tokens)?;

    let mut worst: BTreeMap<Site, Worst> = BTreeMap::new();
    let mut first = None;
    let (mut compared, mut excused) = (0, 0);
    for (address, activation) in recording.activations() {
        let name = match address.block {
            Some(block) => format!("f32/{block}/{}", address.site),
            None => format!("f32/{}", address.site),
        };
        let Ok(tensor) = reference.tensor(&name) else {
            continue;
        };
        ensure!(
            tensor.dtype() == Dtype::F32 && tensor.shape() == activation.shape(),
            "{}: tensor `{name}`: expected F32 {:?}, found {:?} {:?}",
            path.display(),
            activation.shape(),
            tensor.dtype(),
            tensor.shape()
        );
        compared += 1;
        let mut found = difference(activation.view(), tensor.data());
        found.block = address.block;
        // A difference that is not a number is the largest of all.
        if found.relative().is_nan() || found.relative() > TOLERANCE {
            let double = reference.tensor(&name.replacen("f32", "f64", 1)).ok();
            match double {
                Some(double) if is_as_near(activation.view(), &tensor, &double) => excused += 1,
                _ => {
                    first.get_or_insert((name, found, double.is_some()));
                }
            }
        }
        let entry = worst.entry(address.site).or_default();
        if found.relative().is_nan() || found.relative() >= entry.relative() {
            *entry = found;
        }
    }
    ensure!(
        compared > 0,
        "{}: holds no activation of a site of {}",
        path.display(),
        opened.name
    );

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:>6} {:>12} {:>12} {:>12}",
        "site", "block", "largest |Δ|", "scale", "relative"
    )?;
    for (site, worst) in &worst {
        let block = worst
            .block
            .map_or_else(|| "-".to_owned(), |block| block.to_string());
        writeln!(
            out,
            "{:<14} {block:>6} {:>12.3e} {:>12.3e} {:>12.3e}",
            site.name(),
            worst.difference,
            worst.scale,
            worst.relative()
        )?;
    }
    if let Some((name, found, has_double)) = first {
        let else_expected = match has_double {
            true => "at most four times as far from f64 as the reference's f32",
            false => {
                "nothing else while the reference lacks f64, which would show whether its own f32 is off as far"
            }
        };
        bail!(
            "first divergent site: {name}, off by {:e} of {:e}; expected at most {TOLERANCE:e} of the largest value, or \
             {else_expected}",
            found.difference,
            found.scale
        );
    }
    writeln!(
        out,
        "{} activations agree within {TOLERANCE:e} of their largest value",
        compared - excused
    )?;
    if excused > 0 {
        writeln!(
            out,
            "{excused} more are at most {ERROR_RATIO} times as far from the reference in f64 as its own f32"
        )?;
    }
    Ok(())
}

/// Whether an activation is about as near to the reference in f64 as the reference's own f32.
fn is_as_near(
    activation: ArrayViewD<'_, f32>,
    single: &TensorView<'_>,
    double: &TensorView<'_>,
) -> bool {
    if double.dtype() != Dtype::F64 || double.shape() != single.shape() {
        return false;
    }
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    let references = single.data().as_chunks::<4>().0.iter();
    let references = references.zip(double.data().as_chunks::<8>().0);
    for (own, (single, double)) in activation.iter().zip(references) {
        let double = f64::from_le_bytes(*double);
        let (own, single) = (f64::from(*own), f64::from(f32::from_le_bytes(*single)));
        // The largest of numbers and NaN is not NaN.
        if !own.is_finite() || !single.is_finite() || !double.is_finite() {
            return false;
        }
        ours = ours.max((own - double).abs());
        theirs = theirs.max((single - double).abs());
    }
    ours <= ERROR_RATIO * theirs
}

/// The largest difference and the reference's largest value.
fn difference(activation: ArrayViewD<'_, f32>, reference: &[u8]) -> Worst {
    let mut worst = Worst::default();
    for (ours, theirs) in activation.iter().zip(reference.as_chunks::<4>().0) {
        let theirs = f64::from(f32::from_le_bytes(*theirs));
        let off = (f64::from(*ours) - theirs).abs();
        if off.is_nan() || off > worst.difference {
            worst.difference = off;
        }
        worst.scale = worst.scale.max(theirs.abs());
    }
    worst
}

fn tokens(reference: &SafeTensors<'_>) -> anyhow::Result<Vec<u32>> {
    let tensor = reference.tensor("tokens")?;
    ensure!(
        tensor.shape().len() == 1,
        "expected the shape [seq], found {:?}",
        tensor.shape()
    );
    let ids: Vec<i64> = match tensor.dtype() {
        Dtype::I64 => tensor
            .data()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|id| i64::from_le_bytes(*id))
            .collect(),
        Dtype::I32 => tensor
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|id| i32::from_le_bytes(*id).into())
            .collect(),
        other => bail!("expected I64 or I32, found {other:?}"),
    };
    ids.iter()
        .map(|id| {
            u32::try_from(*id).with_context(|| format!("token {id}: expected an id of at least 0"))
        })
        .collect()
}
