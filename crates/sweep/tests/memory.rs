//! The engine's memory, measured by counting every allocation of a process; therefore this file has one test only, which starts
//! a process for each model.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_architecture::{Attention, Mlp, PerLayer, Rotary};
use layerwise_schedule::EditFamily;
use layerwise_sweep::{
    Continuation, Divergence, Engine, Failure, LogLikelihood, Measure, MeasureId, Pair, Patching,
    Plan, Question, Reached, SweepError, worker_bytes,
};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::ArrayViewD;
use peak_alloc::PeakAlloc;
use std::env;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The length of the longest sequence, in tokens.
const LENGTH: usize = 60;

/// A vocabulary so large that its logits exceed the memory that a worker may hold.
const WIDE_VOCAB: usize = 6_000;

/// Bytes by which the growth of a queue may differ between runs: four entries of waiting subtrees.
const SLACK: usize = 600;

/// The number of items of a long run; a short run has fewer.
const MANY: usize = 8;
const FEW: usize = 4;

/// The variable that names the model of a process.
const PART: &str = "LAYERWISE_TEST_PART";

/// The slowest comes first.
const MODELS: [&str; 3] = ["capped", "wide", "gated"];

/// The bytes that the engine's list of groups may take for each item.
const ITEM: usize = 5 * size_of::<usize>();

/// The largest number of bytes that a run holds, beyond those held before.
fn peak<M: Measure>(
    model: &Model,
    plan: &Plan,
    measure: &M,
    items: &[M::Item],
    threads: usize,
) -> usize {
    let items: Vec<(usize, &M::Item)> = items.iter().enumerate().collect();
    let engine = Engine::new(model, plan, measure).threads(NonZeroUsize::new(threads).unwrap());
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    engine.run(&items, |_, _| Ok::<(), SweepError>(())).unwrap();
    ALLOCATED.peak_usage() - before
}

/// Tokens of an item; the first item is the longest, and the other lengths differ, so that buffers are reallocated.
fn tokens(model: &Model, item: usize, length: usize) -> Vec<u32> {
    let vocab = model.config().vocab;
    (0..length)
        .map(|t| ((item * 977 + t * 131) % vocab) as u32)
        .collect()
}

/// Checks a measure's bound on few and on many items of at most `seq` tokens.
fn check<M: Measure>(model: &Model, plan: &Plan, measure: &M, items: &[M::Item], seq: usize) {
    let name = measure.id().name;
    let schedules = plan.entries().len();
    let bound = worker_bytes(model, plan, measure, FEW, seq);
    let few = peak(model, plan, measure, &items[..FEW], 1);
    assert!(
        few <= bound,
        "{name}, {schedules} schedules: {few} bytes, at most {bound}"
    );
    // If anything of an item were kept, more items would show it.
    let many = peak(model, plan, measure, items, 1);
    let most = worker_bytes(model, plan, measure, items.len(), seq);
    assert!(
        many <= most,
        "{name}, {schedules} schedules: {many} bytes, at most {most}"
    );
    if seq == LENGTH {
        assert!(
            few > bound / 4,
            "{name}, {schedules} schedules: {few} bytes of {bound}"
        );
        let most = few + SLACK + (MANY - FEW) * ITEM;
        assert!(
            many <= most,
            "{name}, {schedules} schedules: {many} bytes, before {few}"
        );
    }
    for threads in [2, 5] {
        let peak = peak(model, plan, measure, items, threads);
        let bound = most * threads;
        assert!(
            peak <= bound,
            "{name}, {schedules} schedules: {peak} bytes, at most {bound}"
        );
    }
}

/// Keeps every row of every attention pattern of a plain run, and nothing of altered runs.
struct Patterns;

#[derive(Default)]
struct Kept(Vec<f32>);

impl Observer for Kept {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::AttnPattern
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        self.0.extend(activation.iter());
    }
}

impl Measure for Patterns {
    type Item = Vec<u32>;
    type Observer<'a> = Kept;
    type Reference = ();
    type Sums = f32;

    fn id(&self) -> MeasureId {
        MeasureId::new("patterns", 1)
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn observer<'a>(&'a self, _: &'a Model, _: &'a Vec<u32>) -> Option<Kept> {
        Some(Kept::default())
    }

    fn plain(
        &self,
        _: &Reached<'_, Vec<u32>>,
        observed: Option<Kept>,
    ) -> Result<((), f32), Failure> {
        Ok(((), observed.unwrap_or_default().0.iter().sum()))
    }

    fn altered(&self, _: &Reached<'_, Vec<u32>>, (): &()) -> Result<f32, Failure> {
        Ok(0.0)
    }

    /// Sequences are at most [`LENGTH`] long; a growing list exists twice while it moves.
    fn kept_bytes(&self, config: &ModelConfig, seq: usize, _: usize) -> usize {
        3 * config.layers * config.heads * seq * LENGTH * size_of::<f32>()
    }

    /// The pattern of a whole group.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        config.heads * seq * seq * size_of::<f32>()
    }
}

fn questions(model: &Model) -> Vec<Question> {
    let question = |at: usize| {
        let context = tokens(model, at, 10 - at % 3);
        let continuation = |choice: usize| {
            let targets = tokens(model, 100 + choice, 1 + (at + choice) % 2);
            let mut tokens = [context.clone(), targets.clone()].concat();
            tokens.pop();
            Continuation { tokens, targets }
        };
        Question {
            continuations: (0..4).map(continuation).collect(),
            answer: None,
        }
    };
    (0..MANY).map(question).collect()
}

#[test]
fn memory_is_within_its_bound_and_does_not_grow_with_the_corpus() {
    if let Ok(model) = env::var(PART) {
        check_model(&model);
        println!("{model} is within its bounds");
        return;
    }
    let name = "memory_is_within_its_bound_and_does_not_grow_with_the_corpus";
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                while let Some(model) = MODELS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut command = Command::new(env::current_exe().unwrap());
                    command.args(["--exact", name, "--nocapture"]);
                    let output = command.env(PART, model).output().unwrap();
                    let [stdout, stderr] =
                        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
                    assert!(output.status.success(), "{stdout}{stderr}");
                    let is_checked = stdout.contains(&format!("{model} is within its bounds"));
                    assert!(is_checked, "{model}: {stdout}{stderr}");
                }
            });
        }
    });
}

/// Checks every measure's bound on a model.
fn check_model(name: &str) {
    let wide = ModelConfig::tiny().with(|c| {
        c.model = 64;
        c.layers = 4;
        c.vocab = WIDE_VOCAB;
    });
    let gated = ModelConfig::tiny().with(|c| {
        c.mlp = Mlp::Gated;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(8, 1e4)));
        c.kv_heads = 1;
        c.layers = 7;
    });
    let families: [&[&str]; 4] = [
        &["drop(l)", "swap(l,l+1)"],
        &["drop(l);drop(m)", "keep(0..l)", "repeat(l..L)"],
        &["parallel(0..l+2)", "drop(1)"],
        &[
            "drop(0);plain(attn.pattern[l])",
            "plain(mlp.post[l])",
            "zero(attn.head_out[1,h])",
        ],
    ];
    let config = match name {
        "capped" => wide.with(|c| c.logit_cap = Some(5.0)),
        "gated" => gated,
        _ => wide,
    };
    let model = Model::random(config, 5);
    let planned = |texts: &[&str]| {
        let families: Vec<EditFamily> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Plan::new(model.stack(), &families, 4096).unwrap()
    };
    for texts in families {
        let plan = planned(texts);
        let sequences = |length: usize| -> Vec<Vec<u32>> {
            let own = |item: usize| tokens(&model, item, length - item % 3);
            (0..MANY).map(own).collect()
        };
        let measure = Divergence::new();
        let bound = worker_bytes(&model, &plan, &measure, 1, LENGTH);
        let logits = (LENGTH - 1) * model.config().vocab * size_of::<f32>();
        if model.config().vocab == WIDE_VOCAB {
            assert!(bound < logits, "{bound} bytes, logits {logits}");
        }
        check(&model, &plan, &measure, &sequences(LENGTH), LENGTH);
        check(&model, &plan, &measure, &sequences(12), 12);
        check(&model, &plan, &Patterns, &sequences(LENGTH), LENGTH);
        let questions = questions(&model);
        let measure = LogLikelihood::of("quiz", &questions);
        // A context of ten tokens, and at most one more for each of four choices.
        check(&model, &plan, &measure, &questions, 14);
    }
    let plan = planned(&["drop(l)", "donor(mlp.post[l])"]);
    let pair = |item: usize| {
        let [clean, corrupted] =
            [item, item + 50].map(|seed| tokens(&model, seed, LENGTH - 1 - item % 3));
        Pair::new(clean, corrupted).deciding(Some(1), Some(2))
    };
    let pairs: Vec<Pair> = (0..MANY).map(pair).collect();
    for measure in [Patching::new(), Patching::at_last_position()] {
        check(&model, &plan, &measure, &pairs, LENGTH - 1);
    }
}
