//! Laws for every measure: the same bits whatever the threads, groups, shards and stops; and the refusals of runners.

use layerwise_journal::{Journal, JournalError, Recorded, RunDescription, Shard, merge};
use layerwise_metrics::divergence;
use layerwise_schedule::EditFamily;
use layerwise_sweep::{
    Begun, Budget, Continuation, Described, Divergence, Failure, Journals, Likelihood,
    LogLikelihood, Measure, MeasureId, Plan, Progress, Question, Reached, Rule, Runner, SweepError,
    Work, WorkBytes,
};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::ArrayViewD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn model() -> Model {
    Model::random(ModelConfig::tiny(), 3)
}

fn plan(model: &Model, families: &[&str]) -> Plan {
    let families: Vec<EditFamily> = families.iter().map(|text| text.parse().unwrap()).collect();
    Plan::new(model.stack(), &families, 4096).unwrap()
}

fn tokens(seed: usize, length: usize) -> Vec<u32> {
    let token = |i: usize| ((seed * 977 + i * i * 31 + i * 7) % 50) as u32;
    (0..length).map(token).collect()
}

fn sequences() -> Vec<Vec<u32>> {
    let lengths = [9, 3, 17, 64, 5, 9, 9, 12, 30, 4, 21];
    lengths
        .iter()
        .enumerate()
        .map(|(s, &l)| tokens(s, l))
        .collect()
}

fn questions() -> Vec<Question> {
    let question = |at: usize| {
        let context = tokens(at, 5 + at % 4);
        let continuation = |choice: usize| {
            let mut targets = tokens(100 * at + choice, 1 + (at + choice) % 3);
            targets[0] = (7 * at + choice) as u32 % 50;
            let mut tokens = [context.clone(), targets.clone()].concat();
            tokens.pop();
            Continuation { tokens, targets }
        };
        let rule = if at.is_multiple_of(2) {
            Rule::Choice
        } else {
            Rule::Greedy
        };
        Question {
            continuations: (0..1 + at % 5).map(continuation).collect(),
            answer: Some((at % (1 + at % 5), rule)),
        }
    };
    (0..14).map(question).collect()
}

/// Sums of the activations at two sites of a plain run, and of the last states of each run, to the bit.
struct Watched;

#[derive(Default)]
struct Watcher(Vec<u32>);

impl Observer for Watcher {
    fn wants(&self, address: Address) -> bool {
        [Site::AttnPattern, Site::MlpOut].contains(&address.site)
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let sum: f32 = activation.iter().sum();
        self.0.extend([sum.to_bits(), activation.len() as u32]);
    }
}

impl Measure for Watched {
    type Item = Vec<u32>;
    type Observer<'a> = Watcher;
    type Reference = ();
    type Sums = Vec<u32>;

    fn id(&self) -> MeasureId {
        MeasureId::new("watched", 1)
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn observer<'a>(&'a self, _: &'a Model, item: &'a Vec<u32>) -> Option<Watcher> {
        // Some items are not watched, and run together with others that are.
        (item.len() != 12).then(Watcher::default)
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        observed: Option<Watcher>,
    ) -> Result<((), Vec<u32>), Failure> {
        let mut sums = observed.unwrap_or_default().0;
        sums.extend(self.altered(reached, &())?);
        Ok(((), sums))
    }

    fn altered(&self, reached: &Reached<'_, Vec<u32>>, (): &()) -> Result<Vec<u32>, Failure> {
        Ok(reached.states.iter().map(|value| value.to_bits()).collect())
    }
}

fn threads(count: usize) -> Runner<'static> {
    Runner::new().threads(NonZeroUsize::new(count).unwrap())
}

/// Stops a run after a number of items.
struct StopAfter<'a> {
    left: AtomicUsize,
    stop: &'a AtomicBool,
}

impl Progress for StopAfter<'_> {
    fn begin(&self, _: &Begun<'_>) {}

    fn finished(&self, _: usize) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn end(&self) {}
}

/// Checks the laws of a measure on items under a plan.
fn check<M>(model: &Model, plan: &Plan, measure: &M, items: &[M::Item])
where
    M: Measure<Item: Clone, Sums: Serialize + DeserializeOwned + PartialEq + Debug>,
{
    let name = measure.id().name;
    let expected = threads(1).measure(model, plan, measure, items).unwrap();
    let expected = expected.results;
    assert_eq!(expected.len(), items.len());
    for count in [2, 8] {
        let found = threads(count).measure(model, plan, measure, items).unwrap();
        assert_eq!(found.results, expected, "{name}, {count} threads");
    }
    for (item, expected) in items.iter().zip(&expected) {
        let alone = std::slice::from_ref(item);
        let found = Runner::new().measure(model, plan, measure, alone).unwrap();
        assert_eq!(&found.results[0], expected, "{name}, an item alone");
    }

    // Shards that are each stopped and resumed make up the whole run.
    let folder = tempfile::tempdir().unwrap();
    let division: Shard = "1/3".parse().unwrap();
    let path = |shard: Shard| {
        folder
            .path()
            .join(shard.index().to_string())
            .join("journal")
    };
    for shard in division.all() {
        let runner = threads(2)
            .shard(shard)
            .journals(Journals::File(path(shard)));
        let stop = AtomicBool::new(false);
        let progress = StopAfter {
            left: AtomicUsize::new(1),
            stop: &stop,
        };
        let stopped = runner.clone().stop(&stop).progress(&progress);
        match stopped.measure(model, plan, measure, items) {
            Ok(_) => {}
            Err(SweepError::Interrupted { kept, .. }) => assert!(kept),
            Err(error) => panic!("{name}: {error}"),
        }
        tear(&path(shard));
        let finished = runner.measure(model, plan, measure, items).unwrap();
        assert!(finished.results.len() < items.len(), "{name}");
    }
    let read = |shard| Recorded::read(&path(shard), |_: &Described, _, _| true).unwrap();
    let merged = merge(division.all().map(read).collect()).unwrap().remove(0);
    let found: Vec<Vec<M::Sums>> = merged.finished.into_values().collect();
    assert_eq!(found, expected, "{name}, merged");

    // In one folder, shares resume from those of another division, and the whole run is merged from them.
    let shared = tempfile::tempdir().unwrap();
    let runner = threads(1).journals(Journals::Folder(shared.path().to_owned()));
    let earlier: Shard = "2/2".parse().unwrap();
    let first = runner
        .clone()
        .shard(earlier)
        .measure(model, plan, measure, items);
    let first = first.unwrap().items;
    let merging = || {
        let runner = runner.clone().only_taken_up(true);
        runner.measure(model, plan, measure, items)
    };
    let error = merging().map(drop).unwrap_err();
    let SweepError::Unfinished { missing, .. } = error else {
        panic!("{name}: {error}");
    };
    assert_eq!(missing.len(), items.len() - first, "{name}");
    let shares = division.all().map(|shard| {
        let share = runner
            .clone()
            .shard(shard)
            .measure(model, plan, measure, items);
        share.unwrap()
    });
    let (mut held, mut resumed) = (0, 0);
    for share in shares {
        assert_eq!(share.results.len(), share.items, "{name}");
        held += share.items;
        resumed += share.resumed;
    }
    assert_eq!((held, resumed), (items.len(), first), "{name}");
    assert_eq!(merging().unwrap().results, expected, "{name}");
    let elsewhere = tempfile::tempdir().unwrap();
    let runner = threads(1)
        .journals(Journals::Folder(elsewhere.path().to_owned()))
        .taking_up(vec![shared.path().to_owned()])
        .only_taken_up(true);
    let found = runner.measure(model, plan, measure, items).unwrap();
    assert_eq!(
        (found.resumed, found.results),
        (items.len(), expected.clone())
    );

    // A journal of the run's key that claims another number of units is left alone.
    let claims = tempfile::tempdir().unwrap();
    let described = read(division).description;
    let file = format!("{name}.run/{}.journal", &described.key.as_str()[..16]);
    let more = RunDescription::new(
        described.key,
        described.name,
        items.len() + 1,
        described.about,
    );
    let file = claims.path().join(file);
    let mut journal = Journal::open(&file, &more, false, |_, _| true).unwrap();
    for (unit, sums) in expected.iter().chain([&expected[0]]).enumerate() {
        journal.record(unit, sums.clone()).unwrap();
    }
    drop(journal);
    let runner = threads(1)
        .journals(Journals::Folder(claims.path().join("own")))
        .taking_up(vec![claims.path().to_owned()]);
    let found = runner.measure(model, plan, measure, items).unwrap();
    assert_eq!((found.resumed, found.results), (0, expected.clone()));

    // A finished journal is accepted as it is; with other items it is refused.
    let whole = Journals::Folder(folder.path().to_owned());
    let runner = threads(2).journals(whole);
    let first = runner.measure(model, plan, measure, items).unwrap();
    let again = runner.measure(model, plan, measure, items).unwrap();
    assert_eq!((first.resumed, again.resumed), (0, items.len()));
    assert_eq!(again.results, expected);
    let fresh = runner.fresh(true).measure(model, plan, measure, items);
    assert_eq!(fresh.unwrap().resumed, 0);
    let fewer = threads(1)
        .shard(division)
        .journals(Journals::File(path(division)))
        .measure(model, plan, measure, &items[1..]);
    let error = fewer.map(drop).unwrap_err();
    assert!(
        matches!(error, SweepError::Journal(JournalError::OtherRun { .. })),
        "{error}"
    );
}

/// Cuts the last byte off, as a crash could.
fn tear(journal: &Path) {
    let bytes = std::fs::read(journal).unwrap();
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    if lines > 1 {
        std::fs::write(journal, &bytes[..bytes.len() - 1]).unwrap();
    }
}

#[test]
fn every_measure_keeps_the_laws() {
    let model = model();
    let edits = ["drop(l)", "swap(l,l+1)", "keep(0..2)", "drop(1)"];
    let plan = plan(&model, &edits);
    let plain = Plan::plain(model.stack()).unwrap();
    check(&model, &plan, &Divergence::new(), &sequences());
    check(
        &model,
        &plan,
        &Divergence::new().counting([1, 5], 99),
        &sequences(),
    );
    check(&model, &plain, &Divergence::new(), &sequences());
    check(
        &model,
        &plan,
        &LogLikelihood::of("quiz", &questions()),
        &questions(),
    );
    check(&model, &plan, &Watched, &sequences());
    check(&model, &plain, &Watched, &sequences());
    let squares = Work::new(
        MeasureId::new("squares", 1),
        WorkBytes::default(),
        |_, item: &u32| Ok(u64::from(*item).pow(2)),
    );
    check(&model, &plain, &squares, &[5, 7, 11, 0, 2, 9, 14, 3]);
}

#[test]
fn likelihoods_are_those_of_each_continuation_alone() {
    let (model, questions) = (model(), questions());
    let plan = plan(&model, &["drop(l)"]);
    let measure = LogLikelihood::of("quiz", &questions);
    let found = threads(2)
        .measure(&model, &plan, &measure, &questions)
        .unwrap();
    let mut both = [false; 2];
    for (question, found) in questions.iter().zip(&found.results) {
        for (entry, found) in plan.entries().iter().zip(found) {
            for (continuation, found) in question.continuations.iter().zip(found) {
                let schedule = &entry.member.schedule;
                let logits = model.logits(&continuation.tokens, schedule).unwrap();
                let first = continuation.tokens.len() - continuation.targets.len();
                let (mut sum, mut greedy) = (0.0, true);
                for (position, &target) in (first..).zip(&continuation.targets) {
                    let row = logits.row(position);
                    sum -= divergence::loss_nats(row, target as usize).unwrap();
                    greedy &= divergence::argmax(row).unwrap() == target as usize;
                }
                let Likelihood {
                    log_likelihood,
                    greedy: found_greedy,
                } = *found;
                assert!(
                    (log_likelihood - sum).abs() < 1e-5,
                    "{log_likelihood} {sum}"
                );
                assert_eq!(found_greedy, greedy);
            }
            both[usize::from(question.is_right(found).unwrap())] = true;
        }
    }
    assert_eq!(both, [true; 2], "some answers are right, and some are not");
}

#[test]
fn a_continuation_with_more_targets_than_tokens_is_refused() {
    let model = model();
    let continuation = |tokens: &[u32], targets: &[u32]| Continuation {
        tokens: tokens.to_vec(),
        targets: targets.to_vec(),
    };
    let questions = [Question {
        continuations: vec![continuation(&[1, 2], &[3]), continuation(&[], &[3])],
        answer: None,
    }];
    let plan = plan(&model, &["drop(l)"]);
    let measure = LogLikelihood::of("quiz", &questions);
    let found = threads(1).measure(&model, &plan, &measure, &questions);
    let error = found.map(drop).unwrap_err();
    assert!(
        matches!(error, SweepError::Measure { item: 0, .. }),
        "{error}"
    );
}

#[test]
fn an_edit_needs_its_position_in_whole_continuations_alone() {
    let model = model();
    let continuation = |tokens: [u32; 4]| Continuation {
        targets: tokens[2..].to_vec(),
        tokens: tokens.to_vec(),
    };
    // The beginning that they share has two tokens.
    let questions = [Question {
        continuations: vec![continuation([1, 2, 3, 4]), continuation([1, 2, 5, 6])],
        answer: None,
    }];
    let measure = LogLikelihood::of("quiz", &questions);
    let fits = |edit: &str| {
        let plan = plan(&model, &[edit]);
        let found = threads(1).measure(&model, &plan, &measure, &questions);
        found.is_ok()
    };
    assert!(fits("zero(embed@3)"));
    assert!(!fits("zero(embed@4)"));
}

#[test]
fn an_unkept_run_takes_all_items_whatever_the_share_and_the_target() {
    /// The number of shares that divide the items of a run.
    #[derive(Default)]
    struct Shares(AtomicUsize);
    impl Progress for Shares {
        fn begin(&self, run: &Begun<'_>) {
            self.0.store(run.shares as usize, Ordering::Relaxed);
        }
        fn finished(&self, _: usize) {}
        fn end(&self) {}
    }
    let (model, questions, shares) = (model(), questions(), Shares::default());
    let plan = plan(&model, &["drop(l)"]);
    let measure = LogLikelihood::of("quiz", &questions);
    let runner = threads(1)
        .shard("1/2".parse().unwrap())
        .until_se(Some("accuracy=1e-9".parse().unwrap()))
        .progress(&shares);
    let found = runner.measure_unkept(&model, &plan, &measure, &questions);
    assert_eq!(found.unwrap().results.len(), questions.len());
    assert_eq!(shares.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_target_ends_a_run_at_the_same_item_whatever_the_threads() {
    let model = model();
    let questions: Vec<Question> = questions().into_iter().cycle().take(60).collect();
    let plan = plan(&model, &["drop(l)"]);
    let measure = LogLikelihood::of("quiz", &questions);
    let until = |target: &str, count: usize| {
        let runner = threads(count).until_se(Some(target.parse().unwrap()));
        runner.measure(&model, &plan, &measure, &questions).unwrap()
    };
    let few = until("accuracy=0.1", 1);
    assert_eq!(few.reached, Some(true));
    assert!(
        (8..60).contains(&few.results.len()),
        "{}",
        few.results.len()
    );
    assert_eq!(until("accuracy=0.1", 4).results, few.results);
    let all = until("accuracy=1e-9", 4);
    assert_eq!((all.reached, all.results.len()), (Some(false), 60));
    // A measure without the statistic takes all items.
    let other = until("kl_nats=10", 1);
    assert_eq!((other.reached, other.results.len()), (None, 60));
    let runner = threads(1)
        .until_se(Some("accuracy=0.1".parse().unwrap()))
        .shard("1/2".parse().unwrap());
    let error = runner.measure(&model, &plan, &measure, &questions);
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, SweepError::TargetOfShard { .. }), "{error}");
}

#[test]
fn what_needs_too_much_memory_is_refused_before_any_work() {
    let model = model();
    let plan = plan(&model, &["drop(l)"]);
    let measure = Divergence::new();
    let items = sequences();
    let needed = threads(2).bytes(&model, &plan, &measure, &items);
    let run = |limit| {
        let runner = threads(2).memory(Budget::new(Some(limit)));
        runner.measure(&model, &plan, &measure, &items).map(drop)
    };
    run(needed).unwrap();
    let error = run(needed - 1).unwrap_err();
    assert!(matches!(error, SweepError::Memory { .. }), "{error}");
}

#[test]
fn a_measure_that_fails_names_the_item() {
    let model = model();
    let plain = Plan::plain(model.stack()).unwrap();
    let fails = Work::new(
        MeasureId::new("fails", 1),
        WorkBytes::default(),
        |at, _: &()| match at {
            5 => Err(Failure::other("no more")),
            _ => Ok(at),
        },
    );
    let outcome = threads(1).measure(&model, &plain, &fails, &[(); 9]);
    let error = outcome.map(drop).unwrap_err();
    assert_eq!(error.item(), Some(5));
    assert_eq!(error.to_string(), "item 5: no more");
    // In a group, the error names the item that does not fit.
    let mut items = sequences();
    items[5][2] = 50;
    let outcome = threads(1).measure(&model, &plain, &Divergence::new(), &items);
    let error = outcome.map(drop).unwrap_err();
    assert!(
        matches!(error, SweepError::DoesNotFit { item: 5, .. }),
        "{error}"
    );
}

#[test]
fn the_failure_that_is_told_is_the_first_whatever_the_threads() {
    let model = model();
    let plain = Plan::plain(model.stack()).unwrap();
    let later_failed = AtomicBool::new(false);
    let fails = Work::new(
        MeasureId::new("fails", 1),
        WorkBytes::default(),
        |at, _: &()| {
            match at {
                0 => {
                    while !later_failed.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                    // The engine hears of that failure first.
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => later_failed.store(true, Ordering::Relaxed),
            }
            Err::<usize, _>(Failure::other("no more"))
        },
    );
    let outcome = threads(4).measure(&model, &plain, &fails, &[(); 9]);
    assert_eq!(outcome.map(drop).unwrap_err().item(), Some(0));
}
