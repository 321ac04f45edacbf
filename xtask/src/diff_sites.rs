//! `diff-sites`: finds where a model's activations first differ from a reference's.

use crate::arguments::Opening;
use crate::inputs;
use crate::memory;
use anyhow::bail;
use layerwise::transformer::Differences;
use layerwise::weights::TensorFile;
use std::io::Write;
use std::path::PathBuf;

/// Options of `diff-sites`.
#[derive(clap::Args)]
#[command(after_help = "\
The reference contains `tokens` (I64 or I32, [seq]) and activations in F32, named f32/<block>/<site>, f32/embed, \
f32/final.norm and f32/logits, as fixtures/parity/sites.py writes them with Hugging Face transformers.
The program names the first site that differs by more than 5e-5 of its largest value, and then exits with a code other than 0.
On long sequences the f32 of transformers may itself be that far off. With `--precision f32 f64` the reference also contains \
f64/…: then a site agrees, too, if it is at most four times as far from f64 as the reference's f32 is.")]
pub struct Arguments {
    /// An embedded model's name, a checkpoint folder, or ORG/NAME of a model in the Hugging Face cache
    #[arg(value_name = "MODEL")]
    model: String,
    /// The reference's activations
    #[arg(value_name = "REFERENCE.safetensors")]
    reference: PathBuf,
    #[command(flatten)]
    opening: Opening,
}

/// Runs the command.
///
/// # Errors
/// A model or reference cannot be read, or a site differs.
pub fn diff_sites(arguments: &Arguments) -> anyhow::Result<()> {
    let path = arguments.reference.display();
    let reference = TensorFile::open(&arguments.reference)?;
    memory::budget(arguments.opening.max_memory).check(&path.to_string(), reference.size())?;
    let opened = inputs::open_one(&arguments.model, "", &arguments.opening)?;
    let differences = Differences::from_reference(&opened.model, &opened.name, &reference)?;
    print(&differences)
}

/// Prints the worst difference of each site, and how many activations agree.
///
/// # Errors
/// An activation does not agree.
fn print(differences: &Differences) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:>6} {:>12} {:>12} {:>12}",
        "site", "block", "largest |Δ|", "scale", "relative"
    )?;
    for (site, worst) in differences.worst() {
        let block = worst
            .block
            .map_or_else(|| "-".to_owned(), |block| block.to_string());
        writeln!(
            out,
            "{:<14} {block:>6} {:>12.3e} {:>12.3e} {:>12.3e}",
            site.name(),
            worst.largest,
            worst.scale,
            worst.relative()
        )?;
    }
    let tolerance = Differences::TOLERANCE;
    if let Some((address, found, has_double)) = differences.first() {
        let otherwise = match has_double {
            true => "or at most four times the distance of the reference's f32 from its f64",
            false => {
                "and the reference has no f64 values, which would show whether its own f32 is as far off"
            }
        };
        bail!(
            "first divergent site: f32/{}, off by {:e} of {:e}; expected at most {tolerance:e} of the largest value, {otherwise}",
            address.name(),
            found.largest,
            found.scale
        );
    }
    let excused = differences.excused();
    writeln!(
        out,
        "{} activations agree within {tolerance:e} of their largest value",
        differences.compared() - excused
    )?;
    if excused > 0 {
        writeln!(
            out,
            "{excused} more are at most {} times as far from the reference in f64 as its own f32",
            Differences::ERROR_RATIO
        )?;
    }
    Ok(())
}
