//! The engine, compared with each schedule run alone, and with itself on other numbers of threads.

use layerwise_architecture::{Attention, Family, Mlp, Norm, NormPlace, PerLayer, Residual, Rotary};
use layerwise_metrics::divergence;
use layerwise_schedule::{EditFamily, Schedule};
use layerwise_sweep::{Divergence, Engine, Plan, Sums, SweepError, collect, self_check};
use layerwise_transformer::{Model, ModelConfig};
use ndarray::ArrayView1;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

fn sequential() -> Model {
    Model::random(ModelConfig::tiny(), 3)
}

fn parallel() -> Model {
    let config = ModelConfig::tiny().with(|c| {
        c.family = Family::Phi;
        c.norm = Norm::RmsNorm;
        c.residual = Residual::ParallelOneNorm;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(8, 1e4)));
        c.mlp = Mlp::Gated;
        c.unembedding_bias = true;
        c.tied = false;
        c.kv_heads = 1;
        c.vocab = 700;
    });
    Model::random(config, 4)
}

/// A model with capped logits, which are not linear in the final state; norms around the sublayers, capped scores, two windows.
fn capped() -> Model {
    let config = ModelConfig::tiny().with(|c| {
        c.norm = Norm::RmsNorm;
        c.norm_place = NormPlace::Around;
        c.learned_positions = None;
        let attention = Attention::rotary(Rotary::new(8, 1e4));
        let windows = [Some(5), None, Some(2), None];
        c.attention = PerLayer::each(windows.map(|window| {
            attention
                .clone()
                .with(|attention| attention.window = window)
        }));
        c.score_cap = Some(3.0);
        c.logit_cap = Some(4.0);
        c.logit_scale = 0.7;
        c.vocab = 700;
    });
    Model::random(config, 8)
}

fn corpus(vocab: usize) -> Vec<Vec<u32>> {
    let token = |s: usize, i: usize| ((s * 977 + i * i * 31 + i * 7) % vocab) as u32;
    [9, 3, 17, 64, 5, 9]
        .iter()
        .enumerate()
        .map(|(s, &length)| (0..length).map(|i| token(s, i)).collect())
        .collect()
}

fn plan(model: &Model, families: &[&str]) -> Plan {
    let families: Vec<EditFamily> = families.iter().map(|text| text.parse().unwrap()).collect();
    Plan::new(model.stack(), &families, 4096).unwrap()
}

fn results(
    model: &Model,
    plan: &Plan,
    corpus: &[Vec<u32>],
    threads: usize,
) -> BTreeMap<usize, Vec<Sums>> {
    let sequences: Vec<(usize, &Vec<u32>)> = corpus.iter().enumerate().collect();
    let mut results = BTreeMap::new();
    Engine::new(model, plan, &Divergence::new())
        .threads(NonZeroUsize::new(threads).unwrap())
        .run(&sequences, |index, sums| {
            assert!(results.insert(index, sums).is_none());
            Ok::<(), SweepError>(())
        })
        .unwrap();
    results
}

/// The text of an entry's edit.
fn edit(plan: &Plan, at: usize) -> String {
    plan.entries()[at].member.edit.to_string()
}

const FAMILIES: [&str; 7] = [
    "drop(l)",
    "swap(l,l+1)",
    "repeat(l..l+2)",
    "drop_attn(l..L)",
    "parallel(0..l+2);drop(1)",
    "drop(2)",
    "reverse(0..4)",
];

#[test]
fn a_plan_of_another_model_is_refused() {
    let tokens = corpus(50).remove(0);
    let longer = Model::random(ModelConfig::tiny().with(|c| c.layers += 2), 3);
    let models = [sequential(), longer, parallel()];
    for (planned, of) in models.iter().enumerate() {
        for (run_on, model) in models.iter().enumerate() {
            let mut units = 0;
            let plan = plan(of, &["drop(l)"]);
            let outcome =
                Engine::new(model, &plan, &Divergence::new()).run(&[(0, &tokens)], |_, _| {
                    units += 1;
                    Ok::<_, SweepError>(())
                });
            match outcome {
                Ok(()) => assert_eq!((planned, units), (run_on, 1)),
                Err(SweepError::OtherStack { found, expected }) => {
                    assert_ne!(planned, run_on);
                    assert_eq!((found, expected), (of.stack(), model.stack()));
                    assert_eq!(units, 0);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn every_schedule_has_the_bits_it_has_alone_whatever_the_threads() {
    for model in [sequential(), parallel(), capped()] {
        let corpus = corpus(model.config().vocab);
        let together = plan(&model, &FAMILIES);
        let expected = results(&model, &together, &corpus, 1);
        assert_eq!(expected.len(), corpus.len());
        for threads in [2, 3, 8] {
            assert_eq!(
                results(&model, &together, &corpus, threads),
                expected,
                "{threads} threads"
            );
        }
        for (at, _) in together.entries().iter().enumerate().skip(1) {
            let edit = edit(&together, at);
            let alone = results(&model, &plan(&model, &[&edit]), &corpus, 1);
            for (sequence, sums) in &alone {
                assert_eq!(
                    sums[1], expected[sequence][at],
                    "{edit} on sequence {sequence}"
                );
                assert_eq!(sums[0], expected[sequence][0]);
            }
        }
    }
}

#[test]
fn the_sums_are_those_of_whole_rows_of_logits() {
    for model in [sequential(), parallel(), capped()] {
        let corpus = corpus(model.config().vocab);
        let plan = plan(&model, &FAMILIES);
        let results = results(&model, &plan, &corpus, 2);
        let plain = Schedule::plain(model.stack()).unwrap();
        for (sequence, tokens) in corpus.iter().enumerate() {
            let p = model.logits(tokens, &plain).unwrap();
            for (at, entry) in plan.entries().iter().enumerate() {
                let edit = edit(&plan, at);
                let q = model.logits(tokens, &entry.member.schedule).unwrap();
                let mut expected = Sums::default();
                for position in 1..tokens.len() {
                    let (p, q) = (p.row(position), q.row(position));
                    expected.positions += 1;
                    expected.kl_nats += divergence::kl_nats(p, q).unwrap();
                    expected.entropy_bits += divergence::entropy_bits(q).unwrap();
                    expected.top1_agreements +=
                        u64::from(divergence::argmax(p).unwrap() == divergence::argmax(q).unwrap());
                    let first = |row: ArrayView1<'_, f32>| {
                        let mut tokens: Vec<usize> = (0..row.len()).collect();
                        tokens.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                        tokens.truncate(5);
                        tokens
                    };
                    let (plain, altered) = (first(p), first(q));
                    let shared = plain.iter().filter(|token| altered.contains(token));
                    expected.top5_overlap += shared.count() as f64 / 5.0;
                    if let Some(&target) = tokens.get(position + 1) {
                        expected.loss_positions += 1;
                        expected.loss_nats += divergence::loss_nats(q, target as usize).unwrap();
                    }
                }
                let got = &results[&sequence][at];
                let close = |a: f64, b: f64| {
                    (a - b).abs() <= 2e-5 * (1.0 + b.abs()) * expected.positions as f64
                };
                assert_eq!(
                    (got.positions, got.loss_positions),
                    (expected.positions, expected.loss_positions)
                );
                assert_eq!(
                    got.top1_agreements, expected.top1_agreements,
                    "{edit} on {sequence}"
                );
                assert!(
                    close(got.top5_overlap, expected.top5_overlap),
                    "{edit}: {got:?} against {expected:?}"
                );
                assert!(
                    close(got.kl_nats, expected.kl_nats),
                    "{edit}: {got:?} against {expected:?}"
                );
                assert!(
                    close(got.entropy_bits, expected.entropy_bits),
                    "{edit}: {got:?} against {expected:?}"
                );
                assert!(
                    close(got.loss_nats, expected.loss_nats),
                    "{edit}: {got:?} against {expected:?}"
                );
            }
            assert_eq!(results[&sequence][0].kl_nats, 0.0, "KL(p, p) is exactly 0");
        }
    }
}

#[test]
fn common_prefixes_are_run_once() {
    let plan = plan(&sequential(), &["drop(l)", "swap(l,l+1)"]);
    assert_eq!(plan.entries().len(), 1 + 4 + 3);
    // Two steps a block: the naive count is every schedule in full.
    assert_eq!(plan.naive_steps(), 2 * (4 + 4 * 3 + 3 * 4));
    // n² blocks: "prefix + shared first suffix block".
    assert_eq!(plan.planned_steps(), 2 * 4 * 4);
    assert_eq!(
        (edit(&plan, 0), plan.entries()[0].family),
        ("id".to_owned(), None)
    );
    assert_eq!(
        (edit(&plan, 7), plan.entries()[7].family),
        ("swap(2,3)".to_owned(), Some(1))
    );
    assert_eq!(plan.entries()[7].member.l, Some(2));
    let label = &plan.labels()[7];
    assert_eq!(
        (label.family.as_str(), label.edit.as_str()),
        ("swap(l,l+1)", "swap(2,3)")
    );
    let few = plan.select([7, 2]);
    assert_eq!(
        [0, 1, 2].map(|at| edit(&few, at)),
        ["id", "swap(2,3)", "drop(1)"]
    );
    assert_eq!(few.labels()[1], *label);
}

#[test]
fn the_parts_that_are_told_make_the_whole() {
    let model = sequential();
    let corpus = corpus(50);
    let items: Vec<(usize, &Vec<u32>)> = corpus.iter().enumerate().collect();
    for families in [
        &[][..],
        &["drop(l)", "swap(l,l+1)"],
        &["repeat(0)", "keep(0..2)", "zero(attn.head_out[l,h])"],
    ] {
        let plan = plan(&model, families);
        let told = Mutex::new(0.0);
        let watch = |part: f64| *told.lock().unwrap() += part;
        let measure = Divergence::new();
        let engine = Engine::new(&model, &plan, &measure).watch(&watch);
        engine.run::<SweepError>(&items, |_, _| Ok(())).unwrap();
        let told = told.into_inner().unwrap();
        assert!((told - 1.0).abs() < 1e-9, "{families:?}: {told}");
    }
}

#[test]
fn statistics_are_clustered_by_sequence() {
    let sums = |kl: f64, n: u64| {
        vec![Sums {
            positions: n,
            kl_nats: kl,
            ..Sums::default()
        }]
    };
    let sequences = [sums(2.0, 2), sums(6.0, 2)];
    let statistics = collect(1, sequences.iter().map(Vec::as_slice));
    assert_eq!(statistics[0].kl_nats.mean(), Some(2.0));
    assert_eq!(statistics[0].kl_nats.standard_error(), Some(1.0));
    assert_eq!(statistics[0].loss_nats.mean(), None);
}

#[test]
fn a_stop_begins_no_further_sequence() {
    let model = sequential();
    // Four of them are run together.
    let corpus = vec![corpus(50)[3].clone(); 10];
    let sequences: Vec<(usize, &Vec<u32>)> = corpus.iter().enumerate().collect();
    let stop = AtomicBool::new(false);
    let mut finished = Vec::new();
    Engine::new(&model, &plan(&model, &["drop(l)"]), &Divergence::new())
        .stop(&stop)
        .run(&sequences, |index, _| {
            finished.push(index);
            stop.store(index >= 1, Ordering::Relaxed);
            Ok::<(), SweepError>(())
        })
        .unwrap();
    assert_eq!(finished, [0, 1, 2, 3]);
}

#[test]
fn what_does_not_fit_is_named() {
    let model = sequential();
    let check = |tokens: &[u32]| {
        Engine::new(&model, &plan(&model, &["drop(l)"]), &Divergence::new())
            .threads(NonZeroUsize::new(2).unwrap())
            .run(&[(5, &tokens.to_vec())], |_, _| Ok::<(), SweepError>(()))
            .unwrap_err()
    };
    assert!(matches!(
        check(&[1, 2]),
        SweepError::TooShort {
            unit: "sequence",
            item: 5,
            expected: 3,
            found: 2
        }
    ));
    assert!(matches!(
        check(&[1, 2, 99]),
        SweepError::DoesNotFit { item: 5, .. }
    ));
    let family: EditFamily = "drop(9)".parse().unwrap();
    let error = Plan::new(model.stack(), &[family], 4096).unwrap_err();
    assert!(
        matches!(&error, SweepError::Schedule { edit, .. } if edit == "drop(9)"),
        "{error}"
    );
}

#[test]
fn the_laws_hold_on_sound_models() {
    for model in [sequential(), parallel(), capped()] {
        let corpus = corpus(model.config().vocab);
        for tokens in &corpus {
            self_check(&model, tokens).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_schedules_together_have_the_bits_each_has_alone(
        is_parallel: bool,
        edits in proptest::sample::subsequence(FAMILIES.to_vec(), 1..=FAMILIES.len()),
        lengths in proptest::collection::vec(3usize..40, 1..4),
        threads in 1usize..4,
        seed: u32,
    ) {
        let model = if is_parallel { parallel() } else { sequential() };
        let token = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) % 50;
        let corpus: Vec<Vec<u32>> = lengths.iter().map(|&length| (0..length).map(token).collect()).collect();
        let together = plan(&model, &edits);
        let found = results(&model, &together, &corpus, threads);
        for (at, entry) in together.entries().iter().enumerate().skip(1) {
            let edit = entry.member.edit.to_string();
            let alone = results(&model, &plan(&model, &[&edit]), &corpus, 1);
            for (sequence, sums) in &alone {
                prop_assert_eq!(&sums[1], &found[sequence][at], "{} on sequence {}", edit, sequence);
            }
        }
    }
}

/// An overflow is reported with the place where it arises, and no result is handed over.
#[test]
fn an_overflow_names_its_first_site() {
    let model = sequential();
    let edit = "scale(1,3e38);scale(1,3e38)";
    let plan = plan(&model, &[edit]);
    let mut handed_over = 0;
    let error = Engine::new(&model, &plan, &Divergence::new())
        .run(&[(7, &vec![1, 2, 3, 4])], |_, _| {
            handed_over += 1;
            Ok::<(), SweepError>(())
        })
        .unwrap_err();
    assert_eq!(handed_over, 0);
    let message = error.to_string();
    let SweepError::NotFinite {
        schedule,
        item: 7,
        position: 1,
        origin: Some(origin),
        ..
    } = error
    else {
        panic!("{message}");
    };
    assert_eq!(schedule, edit);
    // Blocks before the scaled one are unchanged. A step is a sublayer, and its first site is the stream after it.
    assert_eq!(origin.address.block, Some(1));
    assert_eq!(origin.address.step, 2);
    assert_eq!(origin.position, 0);
    assert!(
        message.contains("step 2, block 1, site resid."),
        "{message}"
    );
}
