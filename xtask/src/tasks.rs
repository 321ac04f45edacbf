//! Tasks that a sweep scores instead of a text.

use crate::arguments::{Inputs, Run};
use crate::experiments::core::data::Data;
use crate::experiments::core::harness;
use crate::experiments::core::subject::Subject;
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::FileHash;
use crate::output::{self, Named};
use anyhow::Context;
use layerwise::corpus::Tokenizer;
use layerwise::sweep::{Counted, Label, Question, Summary};
use layerwise::tasks::{Scoring, Task, TaskScores, read_all};
use std::path::Path;

/// Tasks, and their items as one model reads them.
pub struct OpenedTasks {
    /// The files, as the manifest tells them.
    pub files: Vec<FileHash>,
    /// The token before each item.
    pub bos: Option<u32>,
    /// The items of all tasks, one task after another.
    pub questions: Counted<Vec<Question>>,
    tasks: Vec<Task>,
}

impl OpenedTasks {
    /// Reads the first `most` items of each task: of the data sets that a folder has, or of the user's own file.
    ///
    /// # Errors
    /// A folder without a data set that is known, a file that cannot be read, or an item that does not fit the model.
    pub fn open(
        path: &Path,
        most: Option<usize>,
        (opened, corpus): (&OpenedModel, &OpenedCorpus),
        (inputs, run): (&Inputs, &Run),
    ) -> anyhow::Result<Self> {
        let tasks = read_all(path, most.unwrap_or(usize::MAX))?;
        let files = tasks.iter().flat_map(|task| &task.files);
        let files = files.map(|path| FileHash::of_file(path));
        let files = files.collect::<anyhow::Result<Vec<_>>>()?;
        let tokenizer = inputs::open_tokenizer(opened)?.with_context(|| {
            let folder = opened.folder.display();
            format!("{folder}/tokenizer.json: not found; the items of tasks are read with it")
        })?;
        let data = Data::default();
        let text = corpus.text(inputs.tokens);
        let subject = opened.alone(Some(&tokenizer), text, (inputs.bos, run), &data, None)?;
        tell_beginning(&subject, &tokenizer)?;
        let questions = harness::questions(&subject, &tokenizer, &tasks)?;
        let encoder = harness::encoder(&subject, &tokenizer)?;
        let bos = encoder.bos();
        let cut = encoder.cut(&tasks, &questions)?;
        if cut > 0 {
            output::say(format_args!(
                "note: {}: {cut} of {} items are longer than its context of {} tokens; the beginnings of their prompts are left \
                 out",
                opened.name,
                questions.len(),
                opened.model.config().context
            ));
        }
        Ok(Self {
            files,
            bos,
            questions,
            tasks,
        })
    }

    /// The files that were read, which no output may replace.
    pub fn named_files(&self) -> impl Iterator<Item = Named> {
        let files = self.tasks.iter().flat_map(|task| &task.files);
        files.map(|path| ("--tasks", Some(path.clone())))
    }

    /// What is measured of the items.
    pub fn scoring(&self) -> Scoring<'_> {
        Scoring::of(&self.tasks, &self.questions)
    }
}

/// Says which token comes before each item, because it may not be the one before other texts.
///
/// # Errors
/// The tokenizer puts several tokens before a text.
pub(crate) fn tell_beginning(subject: &Subject<'_>, tokenizer: &Tokenizer) -> anyhow::Result<()> {
    let token = harness::encoder(subject, tokenizer)?.bos();
    let token = inputs::spelled(token, tokenizer)?;
    let source = match subject.is_bos_asked {
        true => "by the option --bos",
        false => "as in lm-evaluation-harness",
    };
    output::say(format_args!(
        "{}: {token} before each item of the tasks, {source}",
        subject.name
    ));
    Ok(())
}

/// Adds a model's scores to a printed summary, task by task.
pub(crate) fn push_scores(
    summary: &mut Summary,
    model: &str,
    labels: &[Label],
    scores: &[TaskScores],
) {
    const HEADS: [&str; 5] = ["accuracy", "change", "by length", "change", "same choice"];
    for task in scores {
        let title = format!(
            "{}: {}, {}; means ± standard errors, those of changes paired by item",
            output::plain(model),
            output::plain(&task.task),
            output::counted(task.items, "item")
        );
        let rows = labels.iter().zip(&task.schedules).map(|(label, own)| {
            let means = [
                &own.acc,
                &own.acc_change,
                &own.acc_norm,
                &own.acc_norm_change,
                &own.same_choice,
            ];
            let means = means.map(|mean| (mean.mean(), mean.standard_error()));
            (label.edit.as_str(), means.to_vec())
        });
        summary.push_table(&title, &HEADS, rows);
    }
}
