//! The known data sets, and how each is found in a folder.

use crate::error::TaskError;
use crate::read::{self, TextFile};
use crate::task::{Item, Task};
use layerwise_sweep::Rule;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How a question is put to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As in lm-evaluation-harness: the option's text is scored; in MMLU, its letter.
    Harness,
    /// With answers of one token: lettered options for ARC, `Q:`/`A:` for SST-2. Data sets without such a form use the harness's.
    OneToken,
}

/// How much of a data set to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wanted {
    /// The largest number of items; data sets with subjects take equally many from each, as far as possible.
    pub items: usize,
    /// The largest number of items of the training split, if there is a separate one.
    pub training: usize,
    /// The largest number of shots before an item, out of those that the data set has.
    pub shots: usize,
    /// How a question is put to the model.
    pub form: Form,
}

impl Wanted {
    /// Reads `items` items in the harness's form, without shots except those that a data set is published with (MMLU has five).
    pub fn new(items: usize) -> Self {
        Self {
            items,
            training: 0,
            shots: usize::MAX,
            form: Form::Harness,
        }
    }

    /// Uses the form with answers of one token.
    #[must_use]
    pub fn of_one_token(self) -> Self {
        Self {
            form: Form::OneToken,
            ..self
        }
    }

    /// Sets the number of items of the training split.
    #[must_use]
    pub fn training(self, training: usize) -> Self {
        Self { training, ..self }
    }

    /// Sets the largest number of shots.
    #[must_use]
    pub fn shots(self, shots: usize) -> Self {
        Self { shots, ..self }
    }
}

/// A known data set.
///
/// ```
/// use layerwise_tasks::{DataSet, Wanted};
///
/// let hellaswag = DataSet::named("hellaswag").expect("a known data set");
/// let folder = tempfile::tempdir()?;
/// assert_eq!(hellaswag.find(folder.path()), None);
/// assert!(hellaswag.read(folder.path(), Wanted::new(100)).is_err()); // it names the file
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DataSet {
    /// The harness's name for it.
    pub name: &'static str,
    /// Possible names of its file; for MMLU, of its folder.
    files: &'static [&'static str],
    /// The number of shots in the form with answers of one token.
    shots: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lambada,
    Arc,
    HellaSwag,
    Piqa,
    WinoGrande,
    BoolQ,
    Mmlu,
    Sst2,
}

/// The known data sets.
pub const DATA_SETS: [DataSet; 9] = [
    DataSet {
        name: "lambada_openai",
        files: &["lambada_openai.jsonl", "lambada_test.jsonl"],
        shots: 0,
        kind: Kind::Lambada,
    },
    DataSet {
        name: "arc_easy",
        files: &["arc_easy.jsonl", "ARC-Easy-Test.jsonl"],
        shots: 5,
        kind: Kind::Arc,
    },
    DataSet {
        name: "hellaswag",
        files: &["hellaswag.jsonl", "hellaswag_val.jsonl"],
        shots: 0,
        kind: Kind::HellaSwag,
    },
    DataSet {
        name: "arc_challenge",
        files: &["arc_challenge.jsonl", "ARC-Challenge-Test.jsonl"],
        shots: 5,
        kind: Kind::Arc,
    },
    DataSet {
        name: "piqa",
        files: &["piqa.jsonl", "valid.jsonl"],
        shots: 0,
        kind: Kind::Piqa,
    },
    DataSet {
        name: "winogrande",
        files: &["winogrande.jsonl", "dev.jsonl"],
        shots: 0,
        kind: Kind::WinoGrande,
    },
    DataSet {
        name: "boolq",
        files: &["boolq.jsonl", "boolq_val.jsonl", "dev.jsonl"],
        shots: 0,
        kind: Kind::BoolQ,
    },
    DataSet {
        name: "mmlu",
        files: &["mmlu", "mmlu.jsonl"],
        shots: 5,
        kind: Kind::Mmlu,
    },
    DataSet {
        name: "sst2",
        files: &["sst2", "SST-2", "sst2.jsonl"],
        shots: 10,
        kind: Kind::Sst2,
    },
];

impl DataSet {
    /// The data set with a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DATA_SETS.iter().find(|set| set.name == name)
    }

    /// The data set's path in a folder: directly, or in the subfolder `zero-shot`.
    pub fn find(&self, folder: &Path) -> Option<PathBuf> {
        let folders = [folder.to_owned(), folder.join("zero-shot")];
        let paths = folders
            .iter()
            .flat_map(|folder| self.files.iter().map(|name| folder.join(name)));
        let is_it = |path: &PathBuf| match self.kind {
            Kind::Mmlu | Kind::Sst2 if path.extension().is_none() => path.is_dir(),
            // The authors of both give their file this name.
            Kind::WinoGrande | Kind::BoolQ if path.ends_with("dev.jsonl") => {
                path.is_file() && has_passages(folder, path) == (self.kind == Kind::BoolQ)
            }
            _ => path.is_file(),
        };
        paths.into_iter().find(is_it)
    }

    /// Reads the data set from a folder.
    ///
    /// # Errors
    /// A file is missing or not text, or a line has another form; the error names it.
    pub fn read(&self, folder: &Path, wanted: Wanted) -> Result<Task, TaskError> {
        let path = self
            .find(folder)
            .unwrap_or_else(|| folder.join(self.files[0]));
        let one_token = wanted.form == Form::OneToken;
        match self.kind {
            Kind::Mmlu if path.is_dir() => return self.mmlu((folder, &path), wanted),
            Kind::Sst2 if path.is_dir() => return self.sst2((folder, &path), wanted),
            _ => {}
        }
        let rule = match self.kind {
            Kind::Lambada => Rule::Greedy,
            _ => Rule::Choice,
        };
        let mut task = Task::new(self.name, rule);
        let file = TextFile::of_folder(folder, path)?;
        let labels = match self.kind {
            Kind::Piqa => labels_of(folder, &file.path)?,
            _ => None,
        };
        let mut items = match self.kind {
            Kind::Lambada => read::lambada(&file)?,
            Kind::Arc => read::arc(&file, one_token)?,
            Kind::HellaSwag => read::hellaswag(&file)?,
            Kind::Piqa => read::piqa(&file, labels.as_ref())?,
            Kind::WinoGrande => read::winogrande(&file)?,
            Kind::BoolQ => read::boolq(&file)?,
            Kind::Mmlu => read::mmlu_lines(&file)?,
            Kind::Sst2 => read::sst2(&file, one_token)?,
        };
        if self.kind == Kind::Mmlu {
            task.header = read::MMLU_HEADER;
        }
        // In a data set with one file, the first items are the shots, and are not items.
        let shots = match one_token {
            true => self.shots.min(wanted.shots).min(items.len() / 2),
            false => 0,
        };
        let first: Vec<Item> = items.drain(..shots).collect();
        for subject in items.iter().map(|item| item.subject.clone()) {
            task.shots.entry(subject).or_insert_with(|| first.clone());
        }
        items.truncate(wanted.items);
        task.items = items;
        task.files = [Some(file), labels]
            .into_iter()
            .flatten()
            .map(|file| file.path)
            .collect();
        Ok(task)
    }

    /// Reads the folder of MMLU, in the folder of `all` data sets: `test` with a file for each subject, and `dev` with the shots.
    fn mmlu(&self, (all, folder): (&Path, &Path), wanted: Wanted) -> Result<Task, TaskError> {
        let mut task = Task::new(self.name, Rule::Choice);
        task.header = read::MMLU_HEADER;
        let mut by_subject = Vec::new();
        for path in csv_files(&folder.join("test"))? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let subject = name.trim_end_matches("_test").to_owned();
            let file = TextFile::of_folder(all, path)?;
            by_subject.push(read::mmlu(&file, &subject)?);
            task.files.push(file.path);
            let dev = folder.join("dev").join(format!("{subject}_dev.csv"));
            if wanted.shots > 0 {
                let dev = TextFile::of_folder(all, dev)?;
                let mut shots = read::mmlu(&dev, &subject)?;
                shots.truncate(self.shots.min(wanted.shots));
                task.shots.insert(subject, shots);
                task.files.push(dev.path);
            }
        }
        task.items = evenly(by_subject, wanted.items);
        Ok(task)
    }

    /// Reads the folder of SST-2, in the folder of `all` data sets: `train.tsv` with shots and training items, `dev.tsv` with the
    /// items.
    fn sst2(&self, (all, folder): (&Path, &Path), wanted: Wanted) -> Result<Task, TaskError> {
        let mut task = Task::new(self.name, Rule::Choice);
        let one_token = wanted.form == Form::OneToken;
        let dev = TextFile::of_folder(all, folder.join("dev.tsv"))?;
        task.items = read::sst2(&dev, one_token)?;
        task.items.truncate(wanted.items);
        task.files.push(dev.path);
        if one_token {
            let train = TextFile::of_folder(all, folder.join("train.tsv"))?;
            let mut training = read::sst2(&train, true)?;
            let shots = self.shots.min(wanted.shots).min(training.len());
            task.shots
                .insert(String::new(), training.drain(..shots).collect());
            training.truncate(wanted.training);
            task.training = training;
            task.files.push(train.path);
        }
        Ok(task)
    }
}

/// Reads the first `most` items of each task: of every known data set that a folder has, or of the user's own file.
///
/// # Errors
/// As [`DataSet::read`] and [`read_own`](crate::read_own); [`TaskError::NoDataSets`].
pub fn read_all(path: &Path, most: usize) -> Result<Vec<Task>, TaskError> {
    if !path.is_dir() {
        return Ok(vec![read::read_own(path, most)?]);
    }
    let found = DATA_SETS.iter().filter(|set| set.find(path).is_some());
    let tasks = found.map(|set| set.read(path, Wanted::new(most)));
    let tasks: Vec<Task> = tasks.collect::<Result<_, _>>()?;
    if tasks.is_empty() {
        return Err(TaskError::NoDataSets {
            path: path.to_owned(),
            known: DATA_SETS.iter().map(|set| set.name).collect(),
        });
    }
    Ok(tasks)
}

/// Whether the first line of a file is one of BoolQ's.
fn has_passages(folder: &Path, path: &Path) -> bool {
    let file = TextFile::of_folder(folder, path.to_owned());
    file.is_ok_and(|file| {
        file.lines()
            .next()
            .is_some_and(|line| line.contains("\"passage\""))
    })
}

/// The file of labels next to another, such as `valid-labels.lst` next to `valid.jsonl`, if it is there.
fn labels_of(folder: &Path, path: &Path) -> Result<Option<TextFile>, TaskError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let labels = path.with_file_name(format!("{stem}-labels.lst"));
    let found = labels
        .is_file()
        .then(|| TextFile::of_folder(folder, labels));
    found.transpose()
}

/// The `.csv` files of a folder, sorted by name.
fn csv_files(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let listed = |source| TaskError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(listed)?.path()))
            .collect::<Result<_, TaskError>>()?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(listed(error)),
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    if paths.is_empty() {
        return Err(TaskError::Empty {
            path: folder.to_owned(),
            expected: "a file SUBJECT_test.csv for each subject, a question",
        });
    }
    Ok(paths)
}

/// At most `most` items, taken as evenly as possible from every list, list after list.
fn evenly(lists: Vec<Vec<Item>>, most: usize) -> Vec<Item> {
    let count = lists.len();
    let share = |index: usize| most / count + usize::from(index < most % count);
    let each = lists.into_iter().enumerate();
    each.flat_map(|(index, list)| {
        let own = share(index).min(list.len());
        list.into_iter().take(own)
    })
    .collect()
}
