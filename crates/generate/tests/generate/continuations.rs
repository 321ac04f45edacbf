//! Continuations, compared with running the whole text again for every token.

use layerwise_generate::{End, Free, GenerateError, Generation, OneOf, Sampling, Settings};
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Missing, Model, ModelConfig, Precision, State, TransformerError};
use proptest::prelude::*;
use std::path::Path;

fn model() -> Model {
    Model::random(ModelConfig::tiny(), 5)
}

fn schedule(model: &Model, edit: &str) -> Schedule {
    let plain = Schedule::plain(model.stack()).unwrap();
    edit.parse::<Edit>().unwrap().apply(&plain).unwrap()
}

fn tokens(count: usize) -> Settings {
    Settings::default().with(|it| it.max_tokens = count)
}

/// The most likely tokens and their log-probabilities, from running the whole text again for each.
fn again(model: &Model, schedule: &Schedule, prompt: &[u32], count: usize) -> Vec<(u32, f64)> {
    let mut text = prompt.to_vec();
    let mut chosen = Vec::new();
    for _ in 0..count {
        let logits = model.logits(&text, schedule).unwrap();
        let last = logits.row(logits.nrows() - 1);
        let (token, top) = (0..)
            .zip(last)
            .fold((0, f32::NEG_INFINITY), |best, (token, logit)| {
                if *logit > best.1 {
                    (token, *logit)
                } else {
                    best
                }
            });
        let total: f64 = last
            .iter()
            .map(|logit| (f64::from(*logit) - f64::from(top)).exp())
            .sum();
        chosen.push((token, -total.ln()));
        text.push(token);
    }
    chosen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn greedy_tokens_are_those_of_running_all_again(
        prompt in proptest::collection::vec(0u32..50, 1..20),
        edit in prop::sample::select(&["id", "drop(1)", "repeat(2)", "loop(0..2,2)", "parallel(1..3)", "drop_attn(0..4)"]),
        count in 0usize..20,
    ) {
        let model = model();
        let schedule = schedule(&model, edit);
        let mut generation = Generation::new(&model, &schedule, &prompt, tokens(count)).unwrap();
        let expected = again(&model, &schedule, &prompt, count);
        for (token, log_probability) in &expected {
            let choice = generation.next().unwrap().unwrap();
            prop_assert_eq!(choice.token, *token);
            prop_assert!((choice.log_probability - log_probability).abs() < 1e-9);
        }
        prop_assert!(generation.next().is_none());
        prop_assert_eq!(generation.end(), Some(End::Length));
        let ids: Vec<u32> = expected.iter().map(|(token, _)| *token).collect();
        prop_assert_eq!(generation.tokens(), ids);
    }

    #[test]
    fn a_seed_makes_one_continuation(seed: u64) {
        let model = model();
        let plain = schedule(&model, "id");
        let sampled = tokens(12).with(|it| it.sampling = Sampling::default().with(|it| (it.temperature, it.seed) = (1.0, seed)));
        let run = || {
            let generation = Generation::new(&model, &plain, &[1, 2], sampled.clone()).unwrap();
            generation.map(|choice| choice.unwrap().token).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn it_ends_where_it_must() {
    let model = model();
    let plain = schedule(&model, "id");
    let greedy = again(&model, &plain, &[1, 2], 6);
    let at = (0..6).find(|at| greedy[..*at].iter().all(|it| it.0 != greedy[*at].0) && *at > 0);
    let at = at.unwrap_or(0);
    let ending = tokens(6).with(|it| it.end_tokens = vec![greedy[at].0]);
    let mut generation = Generation::new(&model, &plain, &[1, 2], ending).unwrap();
    assert_eq!(generation.by_ref().count(), at);
    assert_eq!(generation.end(), Some(End::Token(greedy[at].0)));

    // All 64 positions are run, and one more token is chosen.
    let mut generation = Generation::new(&model, &plain, &[3; 60], tokens(1000)).unwrap();
    assert_eq!(generation.by_ref().count(), 5);
    assert_eq!(generation.end(), Some(End::Context));

    let choices = OneOf::new(vec![vec![4, 5], vec![6]], None);
    let mut generation = Generation::constrained(&model, &plain, &[1], tokens(9), choices).unwrap();
    let chosen: Vec<u32> = generation
        .by_ref()
        .map(|choice| choice.unwrap().token)
        .collect();
    assert!(chosen == [4, 5] || chosen == [6], "{chosen:?}");
    assert_eq!(generation.end(), Some(End::Constraint));
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let model = model();
    let plain = schedule(&model, "id");
    let refused = |prompt: &[u32]| Generation::new(&model, &plain, prompt, tokens(3)).unwrap_err();
    assert!(matches!(
        refused(&[]),
        GenerateError::Model(TransformerError::EmptySequence)
    ));
    assert!(matches!(
        refused(&[1; 65]),
        GenerateError::Model(TransformerError::SequenceTooLong {
            found: 65,
            context: 64
        })
    ));
    assert!(matches!(
        refused(&[50]),
        GenerateError::Model(TransformerError::TokenOutOfRange { .. })
    ));
    let nothing = OneOf::new(Vec::new(), None);
    let mut generation = Generation::constrained(&model, &plain, &[1], tokens(3), nothing).unwrap();
    assert!(matches!(
        generation.next(),
        Some(Err(GenerateError::DeadEnd { tokens: 0 }))
    ));
    assert!(generation.next().is_none(), "nothing comes after an error");

    let overflowing = schedule(&model, "scale_mlp(0,1e300)");
    let mut generation = Generation::new(&model, &overflowing, &[1], tokens(3)).unwrap();
    assert!(matches!(
        generation.next(),
        Some(Err(GenerateError::NotFinite { tokens: 1, .. }))
    ));
}

/// Above 16 tokens these models use other rotary frequencies for all positions, and the keys of a shorter text are of no use.
#[test]
fn continuations_go_past_a_change_of_rotary_frequencies() {
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    for name in ["phi3-longrope", "llama-longrope"] {
        let model = Model::open(parity.join(name)).unwrap();
        let schedules = ["id", "repeat(1)"].map(|edit| schedule(&model, edit));
        let prompts: [&[u32]; 4] = [&[2, 5, 3], &[4; 12], &[4; 16], &[1; 20]];
        let mut tasks = Vec::new();
        for schedule in &schedules {
            tasks.extend(prompts.map(|prompt| (schedule, prompt)));
        }
        let settings = tokens(20);
        let mut all = Generation::all(&model, &tasks, &settings, &Free).unwrap();
        while all.iter().any(|it| it.end().is_none()) {
            for choice in Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>()) {
                choice.transpose().unwrap();
            }
        }
        for ((schedule, prompt), found) in tasks.iter().zip(&all) {
            let expected = again(&model, schedule, prompt, 20);
            let expected: Vec<u32> = expected.iter().map(|(token, _)| *token).collect();
            assert_eq!(found.tokens(), expected, "{name}, {prompt:?}");
            let alone = Generation::new(&model, schedule, prompt, settings.clone()).unwrap();
            let alone: Vec<u32> = alone.map(|choice| choice.unwrap().token).collect();
            assert_eq!(alone, expected, "{name}, {prompt:?}");
        }
        // At the change 17 tokens run at once, of the 22 that are run in all.
        let (config, plain) = (model.config(), &schedules[0]);
        let least = State::most_bytes(config, plain, 22, Precision::F32)
            + State::most_step_bytes(config, plain, 17, 22, 1);
        assert!(
            settings.most_bytes(config, &[(plain, 3)]) >= least,
            "{name}"
        );
        // Which blocks a text would run again is not known if its tokens stop early.
        let exiting = Generation::exiting(
            &model,
            &[&[4; 12]],
            &settings,
            &Free,
            &1_usize,
            Missing::Recompute,
        );
        let exiting = exiting.unwrap().swap_remove(0);
        let chosen: Vec<_> = exiting.collect();
        assert!(
            matches!(
                chosen[..],
                [
                    Ok(_),
                    Ok(_),
                    Ok(_),
                    Ok(_),
                    Ok(_),
                    Err(GenerateError::Model(TransformerError::MixedLengths {
                        limit: 16,
                        ..
                    }))
                ]
            ),
            "{name}: {chosen:?}"
        );
    }
}

/// Tokens that all stop after the same number of blocks give the outputs of the model's first blocks, whatever the missing blocks
/// leave, and next to continuations under other schedules.
#[test]
fn exits_at_one_depth_are_the_first_blocks() {
    let model = model();
    let prompts: [&[u32]; 2] = [&[3, 1, 4], &[2]];
    for missing in [Missing::Recompute, Missing::Propagate, Missing::Absent] {
        for blocks in 1..=model.config().layers {
            let settings = tokens(8);
            let plain = model.plain();
            let others = Generation::all(&model, &[(&plain, prompts[0])], &settings, &Free);
            let mut all = others.unwrap();
            let exiting = Generation::exiting(&model, &prompts, &settings, &Free, &blocks, missing);
            all.extend(exiting.unwrap());
            while all.iter().any(|it| it.end().is_none()) {
                for choice in Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>()) {
                    choice.transpose().unwrap();
                }
            }
            let kept = schedule(&model, &format!("keep(0..{blocks})"));
            let expected = [
                again(&model, &plain, prompts[0], 8),
                again(&model, &kept, prompts[0], 8),
                again(&model, &kept, prompts[1], 8),
            ];
            for (found, expected) in all.iter().zip(&expected) {
                let expected: Vec<u32> = expected.iter().map(|(token, _)| *token).collect();
                assert_eq!(found.tokens(), expected, "{missing:?} {blocks}");
            }
            assert_eq!(all[0].blocks(), [0; 0]);
            assert_eq!(
                all[1].blocks(),
                [blocks; 8],
                "the prompt, and all but the last"
            );
        }
    }
}
