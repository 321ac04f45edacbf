//! Continuations of a file of prompts, shared by threads, kept as they are finished.

use super::prompt::Prompt;
use super::writing::{Continuation, Work};
use super::{Arguments, first_difference};
use crate::arguments::{self, Run};
use crate::manifest::{self, Manifest, Prompts};
use crate::sweep::run_folder;
use crate::{interrupt, output};
use layerwise::schedule::Schedule;
use layerwise::sweep::{Failure, Journals, Measure, MeasureId, Plan, Reached};
use layerwise::transformer::Batch;
use std::io::Write;
use std::path::Path;

/// What each prompt is continued with, one continuation for each schedule.
struct Continuations<'a> {
    work: &'a Work<'a>,
    depends_on: String,
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
        MeasureId::new("continuations", 1).with_settings(self.depends_on.clone())
    }

    fn unit(&self) -> &'static str {
        "prompt"
    }

    fn title(&self) -> &'static str {
        "generate"
    }

    fn batch(&self, _: &Prompt) -> Batch {
        // Prompts are run by what continues them.
        Batch::default()
    }

    fn particulars(&self, prompt: &Prompt) -> Vec<u32> {
        prompt.ids.clone()
    }

    fn weight(&self, prompt: &Prompt) -> usize {
        prompt.ids.len() + self.work.settings.max_tokens
    }

    fn plain(
        &self,
        reached: &Reached<'_, Prompt>,
        _: Option<()>,
    ) -> Result<((), Vec<Continuation>), Failure> {
        let run =
            |(_, schedule): &(String, Schedule)| self.work.run(schedule, &reached.item.ids, None);
        let found: anyhow::Result<Vec<Continuation>> =
            self.work.schedules().iter().map(run).collect();
        Ok(((), found.map_err(Failure::other)?))
    }

    fn altered(&self, _: &Reached<'_, Prompt>, (): &()) -> Result<Vec<Continuation>, Failure> {
        // The plan has the plain schedule alone.
        Ok(Vec::new())
    }

    fn fits(&self, found: &Vec<Continuation>) -> bool {
        found.len() == self.work.schedules().len()
    }
}

/// In the folder of the run, beside the journal.
const MANIFEST: &str = "manifest.json";

/// Continues all prompts of a file, and prints or writes a line for each of their continuations.
pub(super) fn write(
    arguments: &Arguments,
    work: &Work<'_>,
    file: &Path,
    prompts: &[Prompt],
) -> anyhow::Result<()> {
    let threads = arguments::threads_or_cores(arguments.threads);
    let work = &work.on_one_thread();
    let longest = prompts.iter().map(|prompt| prompt.ids.len()).max();
    work.check_memory(longest.unwrap_or(0), threads.get().min(prompts.len()))?;
    let mut runner = work.opened.runner(&Run {
        threads: Some(threads),
        fresh: arguments.fresh,
    });
    if let Some(out) = &arguments.out {
        let folder = run_folder(out);
        let journal = folder.join(format!("{}.journal", work.opened.name));
        for path in [out, &journal, &folder.join(MANIFEST)] {
            output::check_file(path)?;
        }
        runner = runner.journals(Journals::File(journal));
    }
    interrupt::watch(arguments.out.is_some())?;
    let measure = Continuations {
        work,
        depends_on: work.depends_on(arguments),
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
        for ((edit, _), found) in work.schedules().iter().zip(found) {
            let difference = first_difference(&first, &found.ids);
            lines += &found.line(Some(prompt.line), edit, &prompt.ids, difference)?;
            lines.push('\n');
        }
    }
    match &arguments.out {
        Some(out) => {
            let mut manifest = Manifest::new(threads.get());
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
