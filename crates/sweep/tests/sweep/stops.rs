//! Runs that are stopped at any point resume to the same bytes, and no schedule is measured twice.

use layerwise_schedule::EditFamily;
use layerwise_sweep::{
    Begun, Failure, Journals, Measure, MeasureId, Plan, Progress, Reached, Runner, SweepError,
};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::ArrayViewD;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Measures the last states of each run, to the bit; counts altered runs and settled results.
#[derive(Default)]
struct Counted {
    altered: AtomicUsize,
    /// Results that are not on disk yet, if this were a measure that writes.
    unsettled: AtomicUsize,
}

impl Measure for Counted {
    type Item = Vec<u32>;
    type Observer<'a> = ();
    type Reference = ();
    type Sums = Vec<u32>;

    fn id(&self) -> MeasureId {
        MeasureId::new("counted", 1)
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        _: Option<()>,
    ) -> Result<((), Vec<u32>), Failure> {
        Ok(((), bits(reached)))
    }

    fn altered(&self, reached: &Reached<'_, Vec<u32>>, (): &()) -> Result<Vec<u32>, Failure> {
        self.altered.fetch_add(1, Ordering::Relaxed);
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        Ok(bits(reached))
    }

    fn settle(&self, _: usize) -> std::io::Result<()> {
        self.unsettled.store(0, Ordering::Relaxed);
        Ok(())
    }
}

fn bits(reached: &Reached<'_, Vec<u32>>) -> Vec<u32> {
    let last = reached.states.row(reached.states.nrows() - 1);
    last.iter().map(|value| value.to_bits()).collect()
}

/// Stops a run after a number of progress reports.
struct StopAt<'a> {
    left: AtomicUsize,
    stop: &'a AtomicBool,
    in_hand: AtomicUsize,
}

impl Progress for StopAt<'_> {
    fn begin(&self, run: &Begun<'_>) {
        let thousandths = (run.in_hand * 1000.0) as usize;
        self.in_hand.store(thousandths, Ordering::Relaxed);
    }

    fn finished(&self, _: usize) {}

    fn advanced(&self, _: f64) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn end(&self) {}
}

fn plan(model: &Model) -> Plan {
    let edits = [
        "drop(l)",
        "swap(l,l+1)",
        "keep(0..2)",
        "drop(1)",
        "repeat(3)",
    ];
    let families: Vec<EditFamily> = edits.iter().map(|text| text.parse().unwrap()).collect();
    Plan::new(model.stack(), &families, 4096).unwrap()
}

fn items(lengths: &[usize]) -> Vec<Vec<u32>> {
    let token = |s: usize, i: usize| ((s * 977 + i * i * 31 + i * 7) % 50) as u32;
    let each = lengths.iter().enumerate();
    each.map(|(s, &length)| (0..length).map(|i| token(s, i)).collect())
        .collect()
}

/// One run in a folder, stopped after a number of progress reports; returns whether it finished.
fn run(
    folder: &Path,
    model: &Model,
    measure: &Counted,
    items: &[Vec<u32>],
    threads: usize,
    stop_after: usize,
) -> Result<Vec<Vec<Vec<u32>>>, usize> {
    let stop = AtomicBool::new(false);
    let progress = StopAt {
        left: AtomicUsize::new(stop_after),
        stop: &stop,
        in_hand: AtomicUsize::new(0),
    };
    let runner = Runner::new()
        .threads(NonZeroUsize::new(threads).unwrap())
        .journals(Journals::File(folder.join("journal")))
        .stop(&stop)
        .progress(&progress);
    match runner.measure(model, &plan(model), measure, items) {
        Ok(measured) => Ok(measured.results),
        Err(SweepError::Interrupted { parts, kept, .. }) => {
            assert!(kept && measure.unsettled.load(Ordering::Relaxed) == 0);
            Err(parts)
        }
        Err(error) => panic!("{error}"),
    }
}

/// The results of each schedule are kept wherever a run is stopped, for items that run together and alone.
fn check(model: &Model, lengths: &[usize], threads: usize) {
    let items = items(lengths);
    let folder = tempfile::tempdir().unwrap();
    let whole = Counted::default();
    let expected = run(folder.path(), model, &whole, &items, threads, usize::MAX).unwrap();
    let altered = whole.altered.into_inner();
    let mut cut = 0;
    for stop_after in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let measure = Counted::default();
        match run(folder.path(), model, &measure, &items, threads, stop_after) {
            Err(parts) => cut += parts,
            Ok(found) => {
                assert_eq!(found, expected);
                break;
            }
        }
        let found = run(folder.path(), model, &measure, &items, threads, usize::MAX).unwrap();
        assert_eq!(found, expected, "stopped after {stop_after}");
        assert_eq!(
            measure.altered.into_inner(),
            altered,
            "stopped after {stop_after}"
        );
    }
    assert!(cut > 0, "no stop was within an item");
}

#[test]
fn a_stop_at_any_point_loses_nothing() {
    let model = Model::random(ModelConfig::tiny(), 3);
    // Together, and alone, because their length is the largest of a group for two threads.
    for threads in [1, 2] {
        check(&model, &[9, 3, 17], threads);
        check(&model, &[20; 5], threads);
    }
}

#[test]
fn a_run_that_is_stopped_again_and_again_comes_to_its_end() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let items = items(&[9, 3, 17, 30]);
    let folder = tempfile::tempdir().unwrap();
    let whole = Counted::default();
    let expected = run(folder.path(), &model, &whole, &items, 1, usize::MAX).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let measure = Counted::default();
    let mut stops = 0;
    let found = loop {
        // The plain schedule, and the steps and the end of one altered schedule.
        match run(folder.path(), &model, &measure, &items, 1, 12) {
            Ok(found) => break found,
            Err(_) => stops += 1,
        }
        // A crash may leave the last line incomplete, which loses its schedules.
        if stops % 3 == 0 {
            let path = folder.path().join("journal");
            let bytes = std::fs::read(&path).unwrap();
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            if lines > 1 {
                std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            }
        }
        assert!(stops < 100);
    };
    assert!(stops > 3, "{stops}");
    assert_eq!(found, expected);
}

#[test]
fn what_a_stop_takes_at_most_is_told() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let told = |lengths: &[usize], threads: usize| {
        let progress = StopAt {
            left: AtomicUsize::new(0),
            stop: &AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
        };
        let runner = Runner::new()
            .threads(NonZeroUsize::new(threads).unwrap())
            .progress(&progress);
        let measured = runner.measure(&model, &plan(&model), &Counted::default(), &items(lengths));
        measured.unwrap();
        progress.in_hand.into_inner()
    };
    // One of four groups, and in it one of a dozen schedules that share the plain schedule's beginning.
    let one = told(&[64; 4], 1);
    assert!((100..300).contains(&one), "{one}");
    // Two groups, one after the other and at the same time.
    assert!(told(&[64; 8], 1).abs_diff(one / 2) <= 1);
    assert!(told(&[64; 8], 2).abs_diff(one) <= 1);
}

/// Where an item is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// In the middle of its plain run.
    Block,
    /// While the end of its plain run is read.
    Plain,
    /// While the end of an altered run is read.
    Altered,
}

/// The number of tokens of the item that is given up.
const GIVEN_UP: usize = 17;

/// As [`Counted`], but gives an item up.
struct GivingUp<'a> {
    own: Counted,
    give_up: &'a AtomicBool,
    at: At,
    /// Blocks that ran after the signal.
    late: AtomicUsize,
}

impl GivingUp<'_> {
    fn reads(&self, at: At, reached: &Reached<'_, Vec<u32>>) -> Result<(), Failure> {
        if self.at == at && reached.item.len() == GIVEN_UP {
            self.give_up.store(true, Ordering::Relaxed);
        }
        Ok(reached.go_on()?)
    }
}

/// Watches the plain run of an item.
struct Blocks<'a> {
    measure: &'a GivingUp<'a>,
    gives_up: bool,
}

impl Observer for Blocks<'_> {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::ResidPost
    }

    fn observe(&mut self, address: Address, _: ArrayViewD<'_, f32>) {
        let GivingUp { give_up, late, .. } = self.measure;
        if give_up.load(Ordering::Relaxed) {
            late.fetch_add(1, Ordering::Relaxed);
        }
        if self.gives_up && address.block == Some(1) {
            give_up.store(true, Ordering::Relaxed);
        }
    }
}

impl Measure for GivingUp<'_> {
    type Item = Vec<u32>;
    type Observer<'o>
        = Blocks<'o>
    where
        Self: 'o;
    type Reference = ();
    type Sums = Vec<u32>;

    fn id(&self) -> MeasureId {
        self.own.id()
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn most_together(&self) -> usize {
        1
    }

    fn observer<'o>(&'o self, _: &'o Model, item: &'o Vec<u32>) -> Option<Blocks<'o>> {
        Some(Blocks {
            measure: self,
            gives_up: self.at == At::Block && item.len() == GIVEN_UP,
        })
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        _: Option<Blocks<'_>>,
    ) -> Result<((), Vec<u32>), Failure> {
        self.reads(At::Plain, reached)?;
        Ok(((), bits(reached)))
    }

    fn altered(&self, reached: &Reached<'_, Vec<u32>>, (): &()) -> Result<Vec<u32>, Failure> {
        self.reads(At::Altered, reached)?;
        self.own.altered(reached, &())
    }
}

#[test]
fn an_item_that_is_given_up_is_measured_again() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let items = items(&[9, 3, GIVEN_UP, 30]);
    let folder = tempfile::tempdir().unwrap();
    let whole = Counted::default();
    let expected = run(folder.path(), &model, &whole, &items, 1, usize::MAX).unwrap();
    let altered = whole.altered.into_inner();
    // The schedules that have ended are kept, but an item without its plain run has none.
    let check = |at: At, in_part: usize| {
        let folder = tempfile::tempdir().unwrap();
        let give_up = AtomicBool::new(false);
        let measure = GivingUp {
            own: Counted::default(),
            give_up: &give_up,
            at,
            late: AtomicUsize::new(0),
        };
        let runner = Runner::new()
            .journals(Journals::File(folder.path().join("journal")))
            .give_up(&give_up);
        match runner.measure(&model, &plan(&model), &measure, &items) {
            Err(SweepError::Interrupted {
                finished,
                all,
                parts,
                kept,
                ..
            }) => assert_eq!(
                (finished, all, parts, kept),
                (2, 4, in_part, true),
                "{at:?}"
            ),
            Err(error) => panic!("{at:?}: {error}"),
            Ok(_) => panic!("{at:?}: nothing was given up"),
        }
        assert!(runner.go_on().is_err());
        assert_eq!(measure.late.into_inner(), 0, "{at:?}");
        let before = measure.own.altered.into_inner();
        let rest = Counted::default();
        let found = run(folder.path(), &model, &rest, &items, 1, usize::MAX).unwrap();
        assert_eq!(found, expected, "{at:?}");
        assert_eq!(before + rest.altered.into_inner(), altered, "{at:?}");
    };
    check(At::Block, 0);
    check(At::Plain, 0);
    check(At::Altered, 1);
}
