//! Beam search, compared with trying all continuations, and with transformers.

use layerwise_generate::{
    BeamSearch, Beams, Constraint, End, Free, GenerateError, Generation, Hypothesis, OneOf,
    Sampling, Settings, Stopping,
};
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Model, ModelConfig};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

/// Allows only tokens below a number.
#[derive(Clone, Copy)]
struct Below(u32);

impl Constraint for Below {
    fn allows(&self, token: u32) -> bool {
        token < self.0
    }

    fn advance(&mut self, _: u32) {}
}

fn schedule(model: &Model, edit: &str) -> Schedule {
    let plain = Schedule::plain(model.stack()).unwrap();
    edit.parse::<Edit>().unwrap().apply(&plain).unwrap()
}

/// Natural logarithms of the probabilities of the token after a text.
fn log_probabilities(model: &Model, schedule: &Schedule, text: &[u32]) -> Vec<f64> {
    let logits = model.logits(text, schedule).unwrap();
    let last = logits.row(logits.nrows() - 1);
    let top = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above: Vec<f64> = last
        .iter()
        .map(|it| f64::from(*it) - f64::from(top))
        .collect();
    let total: f64 = above.iter().map(|it| it.exp()).sum();
    above.iter().map(|it| it - total.ln()).collect()
}

/// Every continuation of at most `most` tokens below `below`, with its score; token 0 ends one.
fn all(
    model: &Model,
    schedule: &Schedule,
    prompt: &[u32],
    below: u32,
    most: usize,
    penalty: f64,
) -> Vec<(Vec<u32>, f64)> {
    let mut ended = Vec::new();
    let mut open = vec![(Vec::new(), 0.0)];
    for length in 1..=most {
        let mut next = Vec::new();
        for (tokens, sum) in open {
            let next_token = log_probabilities(model, schedule, &[prompt, &tokens].concat());
            for token in 0..below {
                let sum = sum + next_token[token as usize];
                let score = sum / (length as f64).powf(penalty);
                match token {
                    0 => ended.push((tokens.clone(), score)),
                    _ if length == most => ended.push(([&tokens[..], &[token]].concat(), score)),
                    _ => next.push(([&tokens[..], &[token]].concat(), sum)),
                }
            }
        }
        open = next;
    }
    ended.sort_by(|a, b| b.1.total_cmp(&a.1));
    ended
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// With as many beams as there are continuations, the search finds the best one.
    #[test]
    fn enough_beams_find_the_best_of_all(
        seed in 0u64..1000,
        prompt in proptest::collection::vec(0u32..50, 1..6),
        edit in prop::sample::select(&["id", "drop(1)", "repeat(2)"]),
        penalty in prop::sample::select(&[0.0, 1.0, 2.5, -1.0]),
    ) {
        let model = Model::random(ModelConfig::tiny(), seed);
        let schedule = schedule(&model, edit);
        let expected = all(&model, &schedule, &prompt, 4, 3, penalty);
        let settings = Settings::default().with(|it| (it.max_tokens, it.end_tokens) = (3, vec![0]));
        let beams = Beams::new(64).with(|it| (it.length_penalty, it.stopping) = (penalty, Stopping::Impossible));
        let search = BeamSearch::new(&model, &schedule, &prompt, settings, beams, Below(4)).unwrap();
        let found = search.run().unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for (found, (tokens, score)) in found.iter().zip(&expected) {
            prop_assert!((found.score - score).abs() < 1e-6, "{:?} {:?} {}", found, tokens, score);
        }
        prop_assert_eq!(&found[0].tokens, &expected[0].0);
    }

    #[test]
    fn one_beam_is_greedy(
        prompt in proptest::collection::vec(0u32..50, 1..6),
        count in 1usize..9,
        threads in 1_usize..4,
    ) {
        let model = Model::random(ModelConfig::tiny(), 3);
        let plain = schedule(&model, "id");
        let settings = Settings::default().with(|it| it.max_tokens = count);
        let greedy: Vec<(u32, f64)> = Generation::new(&model, &plain, &prompt, settings.clone())
            .unwrap()
            .map(|choice| choice.map(|it| (it.token, it.log_probability)).unwrap())
            .collect();
        let settings = settings.with(|it| it.threads = threads.try_into().unwrap());
        let search = BeamSearch::new(&model, &plain, &prompt, settings, Beams::new(1), Free).unwrap();
        let found: Vec<Hypothesis> = search.run().unwrap();
        let [found] = &found[..] else { panic!("{found:?}") };
        let pairs: Vec<(u32, f64)> = found.tokens.iter().copied().zip(found.log_probabilities.iter().copied()).collect();
        prop_assert_eq!(pairs, greedy);
        prop_assert_eq!(found.end, End::Length);
    }
}

#[test]
fn continuations_and_scores_are_those_of_transformers() {
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let goldens = std::fs::read_to_string(parity.join("beams.json")).unwrap();
    let goldens: Value = serde_json::from_str(&goldens).unwrap();
    let mut count = 0;
    for golden in goldens["searches"].as_array().unwrap() {
        let model = Model::open(parity.join(golden["model"].as_str().unwrap())).unwrap();
        let ids = |key: &str| serde_json::from_value::<Vec<u32>>(golden[key].clone()).unwrap();
        let number = |key: &str| golden[key].as_u64().unwrap() as usize;
        let settings = Settings::default().with(|it| {
            (it.max_tokens, it.end_tokens) = (number("max_new_tokens"), ids("eos_token_id"));
            it.sampling = Sampling::default()
                .with(|it| it.repetition_penalty = golden["repetition_penalty"].as_f64().unwrap());
        });
        let stopping = match &golden["early_stopping"] {
            Value::Bool(true) => Stopping::Full,
            Value::Bool(false) => Stopping::Unlikely,
            _ => Stopping::Impossible,
        };
        let beams = Beams::new(number("num_beams")).with(|it| {
            it.length_penalty = golden["length_penalty"].as_f64().unwrap();
            it.stopping = stopping;
        });
        let plain = schedule(&model, "id");
        let search =
            BeamSearch::new(&model, &plain, &ids("prompt"), settings, beams, Free).unwrap();
        let found = search.run().unwrap();
        for (found, expected) in found.iter().zip(golden["found"].as_array().unwrap()) {
            let tokens: Vec<u32> = serde_json::from_value(expected["ids"].clone()).unwrap();
            assert_eq!(found.tokens, tokens, "{golden}");
            let score = expected["score"].as_f64().unwrap();
            assert!(
                (found.score - score).abs() < 2e-4,
                "{} {golden}",
                found.score
            );
            count += 1;
        }
        assert_eq!(
            found.len(),
            golden["found"].as_array().unwrap().len(),
            "{golden}"
        );
    }
    assert!(count >= 100, "{count}");
}

/// Above 16 tokens the model uses other rotary frequencies for all positions.
#[test]
fn beams_go_past_a_change_of_rotary_frequencies() {
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let model = Model::open(parity.join("phi3-longrope")).unwrap();
    let (plain, prompt) = (schedule(&model, "id"), [2; 12]);
    let settings = Settings::default().with(|it| it.max_tokens = 8);
    for count in [1, 3] {
        let beams = Beams::new(count);
        let search = BeamSearch::new(&model, &plain, &prompt, settings.clone(), beams, Free);
        let found = search.unwrap().run().unwrap();
        assert_eq!(found.len(), count);
        for found in found {
            assert_eq!(found.tokens.len(), 8);
            for (at, own) in found.log_probabilities.iter().enumerate() {
                let text = [&prompt[..], &found.tokens[..at]].concat();
                let all = log_probabilities(&model, &plain, &text);
                let expected = all[found.tokens[at] as usize];
                assert!(
                    (own - expected).abs() < 1e-9,
                    "token {at}: {own} {expected}"
                );
            }
        }
    }
}

#[test]
fn a_constraint_that_is_finished_at_once_allows_no_tokens() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let (plain, settings) = (schedule(&model, "id"), Settings::default());
    let nothing = OneOf::new(vec![Vec::new()], None);
    let beams = Beams::new(2);
    let search = BeamSearch::new(
        &model,
        &plain,
        &[1],
        settings.clone(),
        beams,
        nothing.clone(),
    );
    let found = search.unwrap().run().unwrap();
    let [found] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(found.tokens.is_empty());
    let greedy = Generation::constrained(&model, &plain, &[1], settings, nothing);
    let mut greedy = greedy.unwrap();
    assert!(greedy.next().is_none());
    assert_eq!([Some(found.end), greedy.end()], [Some(End::Constraint); 2]);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let plain = schedule(&model, "id");
    let refused = |settings: Settings, beams: Beams, says: &str| {
        let error = BeamSearch::new(&model, &plain, &[1], settings, beams, Free).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    let plainly = Settings::default;
    refused(plainly(), Beams::new(0), "number of beams is 0");
    let penalty = |penalty| Beams::new(2).with(|it| it.length_penalty = penalty);
    refused(plainly(), penalty(f64::NAN), "length penalty is NaN");
    refused(plainly(), penalty(f64::INFINITY), "length penalty is inf");
    let warm =
        plainly().with(|it| it.sampling = Sampling::default().with(|it| it.temperature = 1.0));
    refused(warm, Beams::new(2), "temperature is 1");
    let nothing =
        BeamSearch::new(&model, &plain, &[1], plainly(), Beams::new(2), Below(0)).unwrap();
    assert!(matches!(
        nothing.run(),
        Err(GenerateError::DeadEnd { tokens: 0 })
    ));
}

/// Allows a number of tokens, and then none.
#[derive(Clone, Copy)]
struct AtMost(usize);

impl Constraint for AtMost {
    fn allows(&self, _: u32) -> bool {
        self.0 > 0
    }

    fn advance(&mut self, _: u32) {
        self.0 -= 1;
    }
}

#[test]
fn a_dead_end_is_told_with_its_length_and_no_tokens_are_none() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let plain = schedule(&model, "id");
    let check = |most: usize, allowed: usize, expected: Result<End, usize>| {
        let settings = Settings::default().with(|it| it.max_tokens = most);
        let (prompt, beams) = (&[1], Beams::new(2));
        let search = BeamSearch::new(&model, &plain, prompt, settings, beams, AtMost(allowed));
        let found = match search.unwrap().run() {
            Ok(found) => Ok(found[0].end),
            Err(GenerateError::DeadEnd { tokens }) => Err(tokens),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, expected, "{allowed} of {most}");
    };
    check(0, 5, Ok(End::Length));
    check(0, 0, Ok(End::Length));
    check(3, 3, Ok(End::Length));
    check(3, 2, Err(2));
    check(3, 0, Err(0));
}
