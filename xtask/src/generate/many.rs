//! Continuations of a file of prompts: many are decoded together, and each is kept when it is finished.

use super::prompt::Prompt;
use super::writing::{Nobody, Work, line};
use super::{Arguments, first_difference};
use crate::arguments::Run;
use crate::manifest::{self, Manifest, Prompts};
use crate::sweep::run_folder;
use crate::{interrupt, output};
use layerwise::generate::{Continuation, Reader};
use layerwise::sweep::{Failure, Journals, Measure, MeasureId, PlainResults, Plan, Reached};
use layerwise::transformer::Batch;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

/// The most prompts that are continued together; the engine hands out this many items without tokens.
const MOST_TOGETHER: usize = 32;

/// The ways to continue each prompt; each gives one continuation.
struct Continuations<'a> {
    work: &'a Work<'a>,
    depends_on: String,
    /// The number of prompts whose keys and values fit into memory.
    together: usize,
}

impl Measure for Continuations<'_> {
    type Item = Prompt;
    type Observer<'a>
        = ()
    where
        Self: 'a;
    type Reference = ();
    type Sums = Vec<Continuation>;

    fn id(&self) -> MeasureId {
        MeasureId::new("continuations", 2).with_settings(self.depends_on.clone())
    }

    fn unit(&self) -> &'static str {
        "prompt"
    }

    fn title(&self) -> &'static str {
        "generate"
    }

    fn batch(&self, _: &Prompt) -> Batch {
        // Decoding runs the prompts; the engine itself runs nothing.
        Batch::default()
    }

    fn particulars(&self, prompt: &Prompt) -> Vec<u32> {
        prompt.ids.clone()
    }

    fn weight(&self, prompt: &Prompt) -> usize {
        self.work.capacity(prompt.ids.len())
    }

    fn plain(
        &self,
        reached: &Reached<'_, Prompt>,
        _: Option<()>,
    ) -> Result<((), Vec<Continuation>), Failure> {
        let found = self.work.write(&[&reached.item.ids], &mut Nobody);
        let found = found.map_err(|failed| Failure::other(failed.error))?;
        Ok(((), found))
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Prompt>],
        _: Vec<Option<()>>,
    ) -> Result<PlainResults<(), Vec<Continuation>>, (usize, Failure)> {
        let ways = self.work.ways().len();
        let mut all = Vec::new();
        for (part, reached) in reached.chunks(self.together).enumerate() {
            let prompts: Vec<&[u32]> = reached.iter().map(|it| &*it.item.ids).collect();
            let found = self.work.write(&prompts, &mut While(&reached[0]));
            let found = found.map_err(|failed| {
                let at = part * self.together + failed.at / ways;
                let failure = match reached[0].go_on() {
                    Err(given_up) => given_up.into(),
                    Ok(()) => Failure::other(failed.error),
                };
                (at, failure)
            })?;
            all.extend(found.chunks(ways).map(|of_one| ((), of_one.to_vec())));
        }
        Ok(all)
    }

    fn altered(&self, _: &Reached<'_, Prompt>, (): &()) -> Result<Vec<Continuation>, Failure> {
        // The plan contains only the plain schedule.
        Ok(Vec::new())
    }

    fn fits(&self, found: &Vec<Continuation>) -> bool {
        found.len() == self.work.ways().len()
    }
}

/// A reader that ignores everything, until the prompts are given up.
struct While<'r, 'a>(&'r Reached<'a, Prompt>);

impl Reader for While<'_, '_> {
    type Error = anyhow::Error;

    fn goes_on(&mut self, _: usize, _: &str) -> anyhow::Result<()> {
        Ok(self.0.go_on()?)
    }

    fn has_ended(&mut self, _: usize, _: &Continuation) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The manifest's name, in the folder of the run.
const MANIFEST: &str = "manifest.json";

/// Continues all prompts of a file, and prints or writes a line for each continuation.
pub(super) fn write(
    arguments: &Arguments,
    work: &Work<'_>,
    file: &Path,
    prompts: &[Prompt],
) -> anyhow::Result<()> {
    let longest = prompts.iter().map(|prompt| prompt.ids.len()).max();
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
    let measure = Continuations {
        work,
        depends_on: work.depends_on(arguments),
        together,
    };
    let plan = Plan::new(work.opened.model.stack(), &[], 1)?;
    let found = runner.measure(work.opened.subject(), &plan, &measure, prompts)?;
    let key = found.key.clone();
    let mut lines = String::new();
    for (prompt, found) in prompts.iter().zip(found.into_plain().iter()) {
        let first = found
            .first()
            .map(|found| found.ids.clone())
            .unwrap_or_default();
        for (way, found) in work.ways().iter().zip(found) {
            let difference = first_difference(&first, &found.ids);
            lines += &line(found, Some(prompt.line), &way.name, &prompt.ids, difference)?;
            lines.push('\n');
        }
    }
    match &arguments.out {
        Some(out) => {
            let mut manifest = Manifest::new(work.settings().threads.get());
            manifest.runs.push(manifest::Run::of_model(work.opened));
            manifest.prompts = Some(Prompts::new(file, work.tokenizer, &key)?);
            let path = run_folder(out).join(MANIFEST);
            output::write(&path, manifest.json()?.as_bytes())?;
            output::write(out, lines.as_bytes())?;
            output::print_paths([out])?;
        }
        None => std::io::stdout().write_all(lines.as_bytes())?,
    }
    Ok(())
}
