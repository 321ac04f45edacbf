//! Continuations made together, compared with each made alone and with running the whole text again.

use layerwise_generate::{Choice, End, Free, GenerateError, Generation, OneOf, Sampling, Settings};
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Model, ModelConfig, TransformerError};
use ndarray::ArrayView1;
use proptest::prelude::*;
use std::path::Path;

fn schedule(model: &Model, edit: &str) -> Schedule {
    let plain = Schedule::plain(model.stack()).unwrap();
    edit.parse::<Edit>().unwrap().apply(&plain).unwrap()
}

/// Steps until all have ended; returns the choices of each.
fn run(mut all: Vec<Generation<'_>>) -> Vec<(Vec<Choice>, Option<End>)> {
    let mut chosen: Vec<Vec<Choice>> = vec![Vec::new(); all.len()];
    while all.iter().any(|it| it.end().is_none()) {
        let steps = Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>());
        for (chosen, step) in chosen.iter_mut().zip(steps) {
            chosen.extend(step.transpose().unwrap());
        }
    }
    let ends = all.iter().map(Generation::end);
    chosen.into_iter().zip(ends).collect()
}

const EDITS: [&str; 7] = [
    "id",
    "drop_attn(1)",
    "drop_mlp(0)",
    "repeat(1)",
    "loop(0..2,2)",
    "parallel(0..2)",
    "swap(0,1)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_is_as_made_alone(
        prompts in proptest::collection::vec(
            (proptest::collection::vec(0u32..50, 1..60), prop::sample::select(&EDITS)),
            1..7,
        ),
        temperature in prop::sample::select(&[0.0, 0.8]),
        threads in 1_usize..4,
    ) {
        let model = Model::random(ModelConfig::tiny(), 5);
        let schedules: Vec<Schedule> = prompts.iter().map(|(_, edit)| schedule(&model, edit)).collect();
        let settings = Settings::default().with(|it| {
            it.max_tokens = 9;
            it.end_tokens = vec![7, 8, 9];
            it.threads = threads.try_into().unwrap();
            it.sampling = Sampling::default().with(|it| it.temperature = temperature);
        });
        let tasks: Vec<(&Schedule, &[u32])> = schedules.iter().zip(&prompts).map(|(it, (prompt, _))| (it, &prompt[..])).collect();
        let together = run(Generation::all(&model, &tasks, &settings, &Free).unwrap());
        for ((schedule, prompt), (chosen, end)) in tasks.iter().zip(together) {
            let mut alone = Generation::new(&model, schedule, prompt, settings.clone()).unwrap();
            let expected: Vec<Choice> = alone.by_ref().map(Result::unwrap).collect();
            prop_assert_eq!(chosen, expected);
            prop_assert_eq!(end, alone.end());
        }
    }
}

/// The likeliest token, the first among equals, and its log-probability.
fn likeliest(logits: ArrayView1<'_, f32>) -> (u32, f64) {
    let better = |best: (u32, f32), next: (u32, &f32)| match *next.1 > best.1 {
        true => (next.0, *next.1),
        false => best,
    };
    let (token, top) = (0..).zip(logits).fold((0, f32::NEG_INFINITY), better);
    let above = logits
        .iter()
        .map(|it| (f64::from(*it) - f64::from(top)).exp());
    (token, -above.sum::<f64>().ln())
}

/// Every family, under an edit of every kind: 64 tokens, or as many as fit the model's context.
#[test]
fn decoding_is_running_all_again_in_every_family() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let mut families = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("config.json").exists() {
            continue;
        }
        families += 1;
        let model = Model::open(&folder).unwrap();
        let schedules = EDITS.map(|edit| schedule(&model, edit));
        let prompt = [2, 5, 3];
        let tasks = schedules.each_ref().map(|it| (it, &prompt[..]));
        // If the rotary frequencies change with the length, a sequence ends before that.
        let kinds = model.config().attention.kinds().iter();
        let short = kinds
            .filter_map(|kind| kind.rotary.as_ref()?.changes_beyond())
            .min();
        let room = short.unwrap_or(model.config().context) - prompt.len();
        let settings = Settings::default().with(|it| it.max_tokens = room.min(64));
        let all = run(Generation::all(&model, &tasks, &settings, &Free).unwrap());
        for ((edit, schedule), (chosen, _)) in EDITS.iter().zip(&schedules).zip(all) {
            let name = format!("{}, {edit}", folder.display());
            assert_eq!(chosen.len(), settings.max_tokens, "{name}");
            let tokens = chosen.iter().map(|it| it.token);
            let text: Vec<u32> = prompt.into_iter().chain(tokens).collect();
            let logits = model.logits(&text, schedule).unwrap();
            for (at, found) in chosen.iter().enumerate() {
                let (token, log_probability) = likeliest(logits.row(prompt.len() - 1 + at));
                assert_eq!(found.token, token, "{name}, token {at}");
                let difference = (found.log_probability - log_probability).abs();
                assert!(difference < 1e-9, "{name}, token {at}: {difference}");
            }
        }
    }
    assert!(families >= 40, "the fixtures are not found");
}

#[test]
fn an_error_of_one_is_of_that_one_alone() {
    let model = Model::random(ModelConfig::tiny(), 5);
    let plain = schedule(&model, "id");
    let overflowing = schedule(&model, "scale_mlp(0,1e300)");
    let settings = Settings::default().with(|it| it.max_tokens = 3);
    let tasks = [(&plain, &[1][..]), (&overflowing, &[1]), (&plain, &[2, 3])];
    let mut all = Generation::all(&model, &tasks, &settings, &Free).unwrap();
    let mut going: Vec<&mut Generation<'_>> = all.iter_mut().collect();
    let first = Generation::step_all(&mut going);
    assert!(matches!(
        first[..],
        [
            Some(Ok(_)),
            Some(Err(GenerateError::NotFinite { tokens: 1, .. })),
            Some(Ok(_))
        ]
    ));
    let second = Generation::step_all(&mut going);
    assert!(matches!(second[..], [Some(Ok(_)), None, Some(Ok(_))]));

    let refused = |tasks: &[(&Schedule, &[u32])]| {
        *Generation::all(&model, tasks, &settings, &Free).unwrap_err()
    };
    let (at, error) = refused(&[(&plain, &[1]), (&plain, &[1, 50]), (&plain, &[])]);
    assert_eq!(at, 1);
    assert!(matches!(
        error,
        GenerateError::Model(TransformerError::TokenOutOfRange { token: 50, .. })
    ));
    let (at, error) = refused(&[(&plain, &[1]), (&plain, &[])]);
    assert_eq!(at, 1);
    assert!(matches!(
        error,
        GenerateError::Model(TransformerError::EmptySequence)
    ));
    let (at, _) = refused(&[(&plain, &[1]), (&plain, &[1; 65])]);
    assert_eq!(at, 1);
    assert!(
        Generation::all(&model, &[], &settings, &Free)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn each_has_a_constraint_of_its_own() {
    let model = Model::random(ModelConfig::tiny(), 5);
    let schedules = ["id", "drop(1)", "repeat(2)"].map(|edit| schedule(&model, edit));
    let tasks = schedules.each_ref().map(|it| (it, &[1, 2][..]));
    let choices = OneOf::new(vec![vec![4, 5], vec![6], vec![7, 8, 9]], None);
    let settings = Settings::default();
    let mut all = Generation::all(&model, &tasks, &settings, &choices).unwrap();
    while all.iter().any(|it| it.end().is_none()) {
        for step in Generation::step_all(&mut all.iter_mut().collect::<Vec<_>>()) {
            step.transpose().unwrap();
        }
    }
    for it in all {
        assert!([&[4, 5][..], &[6], &[7, 8, 9]].contains(&it.tokens()));
        assert_eq!(it.end(), Some(End::Constraint));
    }
}
