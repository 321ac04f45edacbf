//! The memory that experiments hold for their input, measured by counting every allocation of a process; so this file has only
//! one test, which starts a process for each experiment.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_corpus::{self as corpus, Bos, CorpusError, Options, Tokenizer};
use layerwise_experiments::core::data::{Data, Shared};
use layerwise_experiments::core::error::ExperimentError;
use layerwise_experiments::core::experiment::{Experiment, Passes};
use layerwise_experiments::core::subject::{Runs, Subject, Text};
use layerwise_experiments::core::tables::Tables;
use layerwise_experiments::wic::data::{Occurrence, Pair, Pairs};
use layerwise_experiments::{early_exit, experiment, sublayer_skip, with_needed};
use layerwise_sweep::{Budget, Rule, Runner, SweepError};
use layerwise_tasks::{Item, Task, standins_of_one_token};
use layerwise_transformer::{Model, ModelConfig};
use peak_alloc::PeakAlloc;
use std::env;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Uncounted bytes, which do not grow with the input: tables, the tokenizer's cache, lists of constants.
const SLACK: usize = 512 << 10;

/// Enough bytes for every experiment here.
const ENOUGH: u64 = 64 << 20;

/// The variable that names the experiment of a process.
const PART: &str = "LAYERWISE_TEST_PART";

const IDS: [&str; 7] = [
    "wic",
    "subword-heads",
    "lexical-semantics",
    "benchmarks",
    "suffix-probe",
    "sublayer-skip",
    "early-exit",
];

fn fixture(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(path)
}

/// Pairs of occurrences in contexts of eight words, all different.
fn pairs(text: &str) -> Pairs {
    let words: Vec<&str> = text.split_whitespace().collect();
    let occurrence = |at: usize| {
        let own = &words[at * 8..][..8];
        let text = own.join(" ");
        let word = text.len() - own[7].len()..text.len();
        Occurrence { text, word }
    };
    let pair = |at: usize| Pair {
        word: format!("word {}", at / 4),
        occurrences: [occurrence(2 * at), occurrence(2 * at + 1)],
        part_of_speech: None,
        same: at.is_multiple_of(2),
    };
    Pairs {
        name: "pairs",
        train: (0..600).map(pair).collect(),
        dev: (600..800).map(pair).collect(),
        test: (800..1000).map(pair).collect(),
    }
}

/// Items of four choices after twenty words, all different.
fn tasks(text: &str) -> Vec<Task> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let item = |at: usize| {
        let own = &words[at * 20..][..32];
        let options = own[20..].chunks(3).map(|words| words.join(" "));
        Item::new(own[..20].join(" "), options).answered(at % 4)
    };
    let mut task = Task::new("choices", Rule::Choice);
    task.items = (0..1500).map(item).collect();
    vec![task]
}

/// Whether an error says that memory is insufficient.
fn is_of_memory(error: &ExperimentError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let of_run = error.downcast_ref::<SweepError>();
        let of_text = error.downcast_ref::<CorpusError>();
        if matches!(of_run, Some(SweepError::Memory { .. }))
            || matches!(of_text, Some(CorpusError::Memory { .. }))
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[test]
fn a_budget_counts_what_is_held_before_it_is_allocated() {
    if let Ok(id) = env::var(PART) {
        check(&id);
        println!("{id} is within its budgets");
        return;
    }
    let name = "a_budget_counts_what_is_held_before_it_is_allocated";
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                while let Some(id) = IDS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut command = Command::new(env::current_exe().unwrap());
                    command.args(["--exact", name, "--nocapture"]).env(PART, id);
                    let output = command.output().unwrap();
                    let [stdout, stderr] =
                        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
                    assert!(output.status.success(), "{stdout}{stderr}");
                    let is_checked = stdout.contains(&format!("{id} is within its budgets"));
                    assert!(is_checked, "{id}: {stdout}{stderr}");
                }
            });
        }
    });
}

/// Measures an experiment under several budgets.
fn check(id: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sample = fs::read_to_string(fixture("text/sample.jsonl")).unwrap();
    let path = folder.path().join("text.jsonl");
    fs::write(&path, sample.repeat(4)).unwrap();
    // As one document it has more tokens with the ending after enough others.
    let whole = folder.path().join("text.txt");
    fs::write(&whole, sample.repeat(4)).unwrap();
    let tokenizer = Tokenizer::open(&fixture("models/gpt2-8x160/tokenizer.json"), 2048).unwrap();
    let model = Model::random(
        ModelConfig::tiny().with(|c| {
            c.model = 32;
            c.vocab = 2048;
            c.context = 128;
        }),
        1,
    );
    let options = Options {
        bos: Bos::None,
        ..Options::new(model.config().context, 2048)
    };
    let read = |path: &Path| corpus::read(path, Some(&tokenizer), &options).unwrap();
    // For experiments that run many schedules, or read every block.
    let few = folder.path().join("few.jsonl");
    let lines: Vec<&str> = sample.lines().take(6).collect();
    fs::write(&few, lines.join("\n")).unwrap();
    // This also fills the tokenizer's cache, which is not counted.
    let first = read(&path);
    let (path, corpus) = match id {
        "suffix-probe" => (&whole, read(&whole)),
        "sublayer-skip" | "early-exit" => (&few, read(&few)),
        _ => (&path, first),
    };
    let mut data = Data::default();
    data.insert(pairs(&sample));
    let mut choices = tasks(&sample);
    data.insert(choices.clone());
    choices[0].items.truncate(60);
    data.insert(sublayer_skip::Tasks(choices));
    let documents: Vec<String> = sample.lines().map(str::to_owned).collect();
    data.insert(early_exit::Tasks(standins_of_one_token(&documents, 400)));

    // The peak of the allocations, and the outcome.
    let run = |limit: u64| {
        let budget = Budget::new(Some(limit));
        let text = Text {
            path,
            options: &options,
            corpus: &corpus,
            bos: None,
            most_tokens: None,
        };
        let subject = Subject {
            model: &model,
            name: "tiny",
            tokenizer: Some(&tokenizer),
            text,
            other_text: None,
            bos: None,
            is_bos_asked: false,
            end_tokens: Vec::new(),
            template: None,
            data: &data,
            runs: Runs {
                model: (&model).into(),
                runner: Runner::new().memory(budget.clone()),
            },
            clock: None,
            shared: Shared::default(),
        };
        let needed = with_needed(&[experiment(id).unwrap()]);
        let mut tables = Tables::default();
        let measure = |experiment: &dyn Experiment, tables: &mut Tables| {
            let measured = experiment.measure(&subject, &Passes::default(), tables);
            assert_eq!(measured.map_err(Box::new)?, [""; 0], "{id}");
            Ok::<(), Box<ExperimentError>>(())
        };
        // The memory of the weights, which does not depend on the text, comes first.
        let (last, others) = needed.split_last().unwrap();
        let mut others = others.iter();
        let needed = others.try_for_each(|other| measure(*other, &mut tables));
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let outcome = needed.and_then(|()| measure(*last, &mut tables));
        let peak = ALLOCATED.peak_usage() - before;
        drop((tables, subject));
        assert_eq!(budget.left(), Some(limit), "{id}: everything is given back");
        (peak, outcome)
    };
    let (most, outcome) = run(ENOUGH);
    outcome.unwrap();
    assert!(
        most > 2 * SLACK,
        "{id}: {most} bytes are too few to reveal memory that is not counted"
    );
    let mut refused = 0;
    // A limit above what the experiment takes says nothing more.
    let limits = (16..27).step_by(2).map(|bits| 1 << bits);
    for limit in limits.take_while(|limit| *limit < most as u64) {
        let (peak, outcome) = run(limit);
        assert!(
            peak <= limit as usize + SLACK,
            "{id}: {peak} bytes, {limit} were allowed; without a limit {most}"
        );
        match outcome {
            Ok(()) => break,
            Err(error) => assert!(is_of_memory(&error), "{id}: {error}"),
        }
        refused += 1;
    }
    assert!(
        (1..6).contains(&refused),
        "{id}: {refused} limits are too small"
    );
}
