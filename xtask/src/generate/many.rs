//! Continuations of a file of prompts: many are decoded together, and each is kept when it is finished.

use super::writing::{Work, line};
use super::{Arguments, first_difference};
use crate::arguments::Run;
use crate::manifest::{self, Manifest, Prompts};
use crate::sweep::run_folder;
use crate::{interrupt, output};
use layerwise::sweep::{Journals, Plan};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

/// The most prompts that are continued together; the engine hands out this many items without tokens.
const MOST_TOGETHER: usize = 32;

/// The manifest's name, in the folder of the run.
const MANIFEST: &str = "manifest.json";

/// Continues all prompts of a file, given with the numbers of their lines, and prints or writes a line for each continuation.
pub(super) fn write(
    arguments: &Arguments,
    work: &Work<'_>,
    file: &Path,
    prompts: Vec<(usize, Vec<u32>)>,
) -> anyhow::Result<()> {
    let (lines, prompts): (Vec<usize>, Vec<Vec<u32>>) = prompts.into_iter().unzip();
    let longest = prompts.iter().map(Vec::len).max();
    let longest = longest.unwrap_or(0);
    // Continues fewer prompts together if memory is too small for all.
    let mut together = MOST_TOGETHER.min(prompts.len());
    while together > 1 && work.check_memory(longest, together).is_err() {
        together /= 2;
    }
    work.check_memory(longest, together)?;
    let mut runner = work.opened.runner(&Run {
        // Threads share each product.
        threads: Some(NonZeroUsize::MIN),
        fresh: arguments.fresh,
        trial: None,
    });
    if let Some(out) = &arguments.out {
        let folder = run_folder(out);
        let journal = folder.join(format!("{}.journal", work.opened.name));
        for path in [out, &journal, &folder.join(MANIFEST)] {
            output::check_file(path)?;
        }
        let read = [
            ("the run folder", Some(folder)),
            ("--prompts", Some(file.to_owned())),
            ("--chat-template", arguments.chat_template.clone()),
            ("--exit", arguments.stopping.file()),
        ];
        output::check_distinct(
            [("--out", Some(out.clone()))],
            read.into_iter().chain(work.opened.named_files()),
        )?;
        runner = runner.journals(Journals::File(journal));
    }
    interrupt::watch(interrupt::beside_out(arguments.out.is_some()))?;
    let measure = work.continuations(arguments, together);
    let plan = Plan::new(work.opened.model.stack(), &[], 1)?;
    let found = runner.measure(work.opened.subject(), &plan, &measure, &prompts)?;
    let key = found.key.clone();
    let mut text = String::new();
    let numbered = lines.into_iter().zip(&prompts);
    for ((number, prompt), found) in numbered.zip(found.into_plain().iter()) {
        let first = found
            .first()
            .map(|found| found.ids.clone())
            .unwrap_or_default();
        for (way, found) in work.ways().iter().zip(found) {
            let difference = first_difference(&first, &found.ids);
            text += &line(found, Some(number), &way.name, prompt, difference)?;
            text.push('\n');
        }
    }
    match &arguments.out {
        Some(out) => {
            let mut manifest = Manifest::new(work.settings().threads.get());
            manifest.runs.push(manifest::Run::of_model(work.opened));
            manifest.prompts = Some(Prompts::new(file, work.tokenizer, &key)?);
            let path = run_folder(out).join(MANIFEST);
            output::write(&path, manifest.json()?.as_bytes())?;
            output::write(out, text.as_bytes())?;
            output::print_paths([out])?;
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}
