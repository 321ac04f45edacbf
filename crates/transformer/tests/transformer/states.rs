//! The law of states: however a text is split into parts, the bits are those of running it at once.

use crate::parity_models::{EDITS, models, room, schedule};
use layerwise_architecture::{Attention, PerLayer};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Batch, Model, ModelConfig, Precision, State, Team, TransformerError};
use ndarray::{Array2, s};
use proptest::prelude::*;
use std::sync::Arc;

fn bits(model: &Model, residual: &Array2<f32>) -> Vec<u32> {
    let logits = model.unembed(model.final_norm(residual.view()).view());
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// The residual streams of tokens added in parts, one below the other.
fn in_parts(state: &mut State<'_>, tokens: &[u32], cuts: &[usize]) -> Array2<f32> {
    let model = state.model();
    let mut rows = Array2::zeros((0, model.config().model));
    let mut first = 0;
    for cut in cuts.iter().chain([&tokens.len()]) {
        if *cut > first {
            let part = state.extend(&tokens[first..*cut]).unwrap();
            rows.append(ndarray::Axis(0), part.view()).unwrap();
            first = *cut;
        }
    }
    rows
}

fn check(name: &str, model: &Model, schedule: &Schedule, tokens: &[u32], cuts: &[usize]) {
    check_shared(name, model, schedule, tokens, cuts, 1);
}

fn check_shared(
    name: &str,
    model: &Model,
    schedule: &Schedule,
    tokens: &[u32],
    cuts: &[usize],
    threads: usize,
) {
    let whole = model.run(tokens, schedule, &mut ()).unwrap();
    let state = State::new(model, schedule, tokens.len()).unwrap();
    let mut state = state.with_team(&team(threads));
    let parts = in_parts(&mut state, tokens, cuts);
    assert_eq!(state.len(), tokens.len());
    let logits = state.logits(parts.view());
    let found: Vec<u32> = logits.iter().map(|logit| logit.to_bits()).collect();
    assert_eq!(
        found,
        bits(model, &whole),
        "{name}, cut at {cuts:?}, {threads} threads"
    );
}

fn team(threads: usize) -> Arc<Team> {
    Arc::new(Team::new(threads.try_into().unwrap()))
}

fn tokens_for(model: &Model, drawn: &[u32]) -> Vec<u32> {
    let fitting = drawn.iter().take(room(model));
    let vocab = model.config().vocab as u32;
    fitting.map(|token| token % vocab).collect()
}

fn any_tokens(most: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 1..most)
}

/// A model with two blocks, each with a window of 300 of the 900 positions: more than a page of keys.
fn windowed() -> (Model, Vec<u32>) {
    let config = ModelConfig::tiny().with(|c| {
        c.layers = 2;
        c.context = 900;
        c.attention = PerLayer::same(Attention::default().with(|a| a.window = Some(300)));
    });
    let tokens = (0..900).map(|at| at * at % 50).collect();
    (Model::random(config, 11), tokens)
}

#[test]
fn parts_of_a_long_text_give_the_bits_of_the_whole_under_a_window() {
    let (model, tokens) = windowed();
    for edit in ["id", "repeat(1)"] {
        let cuts = [1, 255, 256, 300, 557, 899];
        check(edit, &model, &schedule(&model, edit), &tokens, &cuts);
    }
}

#[test]
fn what_lies_before_the_windows_leaves_no_trace() {
    let (model, tokens) = windowed();
    let plain = Schedule::plain(model.stack()).unwrap();
    let last = |tokens: &[u32]| {
        let rows = model.run(tokens, &plain, &mut ()).unwrap();
        bits(&model, &rows.slice(s![899.., ..]).to_owned())
    };
    // Two windows reach 2 * 299 positions back from the last position, 899.
    for (changed, is_seen) in [(301, false), (302, true)] {
        let mut other = tokens.clone();
        other[..changed]
            .iter_mut()
            .for_each(|token| *token = 49 - *token);
        assert_eq!(last(&other) != last(&tokens), is_seen, "{changed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn parts_give_the_bits_of_the_whole(
        at: prop::sample::Index,
        edit in prop::sample::select(&EDITS),
        drawn in any_tokens(60),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        threads in 1_usize..5,
    ) {
        let (name, model) = at.get(models());
        let tokens = tokens_for(model, &drawn);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(tokens.len())).collect();
        cuts.sort_unstable();
        check_shared(&format!("{name}, {edit}"), model, &schedule(model, edit), &tokens, &cuts, threads);
    }

    #[test]
    fn cut_and_forked_states_are_as_new_ones(
        at: prop::sample::Index,
        edit in prop::sample::select(&EDITS),
        drawn in any_tokens(30),
        other in any_tokens(20),
        cut: prop::sample::Index,
    ) {
        let (_, model) = at.get(models());
        let schedule = schedule(model, edit);
        let tokens = tokens_for(model, &drawn);
        let cut = cut.index(tokens.len() + 1);
        let mut changed = tokens[..cut].to_vec();
        changed.extend(tokens_for(model, &other));
        changed.truncate(room(model));
        let expected = model.run(&changed, &schedule, &mut ()).unwrap();
        let expected = bits(model, &expected.slice(s![cut.., ..]).to_owned());

        let mut state = State::new(model, &schedule, model.config().context).unwrap();
        state.extend(&tokens).unwrap();
        let mut fork = state.fork();
        fork.truncate(cut).unwrap();
        if changed.len() > cut {
            let rows = fork.extend(&changed[cut..]).unwrap();
            prop_assert_eq!(bits(model, &rows), expected.clone());
        }
        // Nothing that the fork did changes the first state.
        if tokens.len() < room(model) {
            let longer = [&tokens[..], &[1]].concat();
            let whole = model.run(&longer, &schedule, &mut ()).unwrap();
            let row = state.extend(&[1]).unwrap();
            prop_assert_eq!(bits(model, &row), bits(model, &whole.slice(s![tokens.len().., ..]).to_owned()));
        }
        state.truncate(cut).unwrap();
        if changed.len() > cut {
            let rows = in_parts(&mut state, &changed[cut..], &[1]);
            prop_assert_eq!(bits(model, &rows), expected);
        }
    }

    #[test]
    fn states_extended_together_are_as_extended_alone(
        at: prop::sample::Index,
        drawn in proptest::collection::vec((any_tokens(20), any_tokens(9), prop::sample::select(&EDITS)), 1..5),
        threads in 1_usize..4,
    ) {
        let (_, model) = at.get(models());
        let mut states = Vec::new();
        let mut alone = Array2::zeros((0, model.config().model));
        let mut more = Vec::new();
        let team = team(threads);
        for (before, after, edit) in &drawn {
            let schedule = schedule(model, edit);
            let tokens = tokens_for(model, &[&before[..], after].concat());
            let before = before.len().min(tokens.len() - 1);
            let mut state = State::new(model, &schedule, tokens.len()).unwrap();
            state.extend(&tokens[..before]).unwrap();
            let rows = state.fork().extend(&tokens[before..]).unwrap();
            alone.append(ndarray::Axis(0), rows.view()).unwrap();
            states.push(state.with_team(&team));
            more.push(tokens[before..].to_vec());
        }
        let mut pairs: Vec<_> = states.iter_mut().zip(more.iter().map(Vec::as_slice)).collect();
        let together = State::extend_all(&mut pairs).unwrap();
        prop_assert_eq!(bits(model, &together), bits(model, &alone));
    }
}

#[test]
fn every_family_and_edit_goes_on_token_by_token() {
    for (name, model) in models() {
        let tokens = tokens_for(model, &[2, 9, 4, 4, 0, 7, 1, 3]);
        for edit in EDITS {
            let schedule = schedule(model, edit);
            let name = format!("{name}, {edit}");
            check(&name, model, &schedule, &tokens, &[1, 2, 3, 4, 5, 6, 7]);
            check(&name, model, &schedule, &tokens, &[5, 6]);
        }
    }
}

/// 700 tokens span three pages.
#[test]
fn pages_add_up_to_one_product() {
    let config = ModelConfig::tiny().with(|c| c.context = 700);
    let model = Model::random(config, 3);
    let schedule = schedule(&model, "repeat(1)");
    let tokens: Vec<u32> = (0..700).map(|i| i * 7919 % 50).collect();
    let whole = model.run(&tokens, &schedule, &mut ()).unwrap();
    let mut state = State::new(&model, &schedule, 700).unwrap();
    let cuts = [100, 255, 256, 257, 300, 511, 512, 513, 699];
    let rows = in_parts(&mut state, &tokens, &cuts);
    assert_eq!(bits(&model, &rows), bits(&model, &whole));
    let mut fork = state.fork();
    for cut in [600, 512, 300, 256, 17] {
        state.truncate(cut).unwrap();
        let mut again = state.fork();
        let rows = in_parts(&mut again, &tokens[cut..], &[1, 2]);
        let expected = whole.slice(s![cut.., ..]).to_owned();
        assert_eq!(bits(&model, &rows), bits(&model, &expected), "{cut}");
    }
    fork.truncate(699).unwrap();
    let row = fork.extend(&tokens[699..]).unwrap();
    let expected = whole.slice(s![699.., ..]).to_owned();
    assert_eq!(bits(&model, &row), bits(&model, &expected));
}

/// Windows of 40 and 300 tokens alternate with full attention. Pages are dropped while 700 tokens are added, and no bit changes.
#[test]
fn what_lies_before_a_window_is_forgotten() {
    let config = ModelConfig::tiny().with(|c| {
        c.context = 700;
        let full = c.attention.of(0).clone();
        let windows = [Some(40), None, Some(300), Some(40)];
        c.attention =
            PerLayer::each(windows.map(|window| full.clone().with(|it| it.window = window)));
    });
    let model = Model::random(config, 3);
    let schedule = schedule(&model, "repeat(1)");
    let tokens: Vec<u32> = (0..700).map(|i| i * 7919 % 50).collect();
    let whole = model.run(&tokens, &schedule, &mut ()).unwrap();
    let mut state = State::new(&model, &schedule, 700).unwrap();
    let mut cuts = vec![100, 255, 256, 257, 295, 296, 297, 511, 512, 555, 600];
    cuts.extend(690..699);
    let rows = in_parts(&mut state, &tokens, &cuts);
    assert_eq!(bits(&model, &rows), bits(&model, &whole));
    for cut in [690, 600, 555] {
        state.truncate(cut).unwrap();
        let mut again = state.fork();
        let rows = in_parts(&mut again, &tokens[cut..], &[1, 2]);
        let expected = whole.slice(s![cut.., ..]).to_owned();
        assert_eq!(bits(&model, &rows), bits(&model, &expected), "{cut}");
    }
    // The window of token 554 begins at 255, whose page was dropped.
    let error = state.truncate(554).unwrap_err();
    let refused = TransformerError::CutBeforeWindow {
        found: 554,
        least: 555,
    };
    assert_eq!(error.to_string(), refused.to_string());
    assert_eq!(state.len(), 555);
    state.truncate(0).unwrap();
    let rows = in_parts(&mut state, &tokens, &[1, 699]);
    assert_eq!(bits(&model, &rows), bits(&model, &whole));
}

/// In bf16 the split of a text changes no bit either, and the rounding error is that of 8 bits of significand.
#[test]
fn states_in_bf16_are_rounded_and_as_independent_of_their_parts() {
    for (name, model) in models() {
        let tokens = tokens_for(model, &[2, 9, 4, 4, 0, 7, 1, 3, 11]);
        for edit in ["id", "repeat(1)"] {
            let schedule = schedule(model, edit);
            let new = || State::new_in(model, &schedule, tokens.len(), Precision::Bf16);
            let mut at_once = match new() {
                Ok(state) => state,
                Err(TransformerError::MissingInstructions { .. }) => return,
                Err(error) => panic!("{error}"),
            };
            let whole = at_once.extend(&tokens).unwrap();
            let exact = model.run(&tokens, &schedule, &mut ()).unwrap();
            let scale = exact
                .iter()
                .fold(0_f32, |most, value| most.max(value.abs()));
            let error = (&whole - &exact)
                .iter()
                .fold(0_f32, |most, value| most.max(value.abs()));
            assert!(error < 0.05 * scale, "{name}, {edit}: {error} of {scale}");
            for cuts in [&[1, 2, 3, 4, 5, 6, 7, 8][..], &[3], &[4, 5]] {
                let mut state = new().unwrap().with_team(&team(2));
                let cuts: Vec<usize> = cuts
                    .iter()
                    .copied()
                    .filter(|cut| *cut < tokens.len())
                    .collect();
                let rows = in_parts(&mut state, &tokens, &cuts);
                assert_eq!(
                    bits(model, &rows),
                    bits(model, &whole),
                    "{name}, {edit}, {cuts:?}"
                );
                // Odd and even cuts: values are kept in pairs of positions.
                for cut in [tokens.len() - 1, tokens.len() - 2] {
                    let mut fork = state.fork();
                    fork.truncate(cut).unwrap();
                    let rows = fork.extend(&tokens[cut..]).unwrap();
                    let expected = whole.slice(s![cut.., ..]).to_owned();
                    assert_eq!(
                        bits(model, &rows),
                        bits(model, &expected),
                        "{name}, {edit}, cut to {cut}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_schedule_without_attention_keeps_nothing() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let schedule = schedule(&model, "drop_attn(0..4)");
    let bytes = State::most_bytes(model.config(), &schedule, 64, Precision::F32);
    assert_eq!(bytes, 0);
    check("no attention", &model, &schedule, &[1, 2, 3], &[1]);
}

#[test]
fn what_does_not_fit_leaves_the_state_as_it_was() {
    let (model, other) = (
        Model::random(ModelConfig::tiny(), 3),
        Model::random(ModelConfig::tiny(), 4),
    );
    let plain = schedule(&model, "id");
    let mut state = State::new(&model, &plain, 5).unwrap();
    assert!(state.is_empty());
    state.extend(&[1, 2, 3]).unwrap();
    let refused = |state: &mut State<'_>, tokens: &[u32]| {
        let error = state.extend(tokens).unwrap_err();
        assert_eq!(state.len(), 3);
        error
    };
    assert!(matches!(
        refused(&mut state, &[4, 5, 6]),
        TransformerError::StateFull {
            found: 6,
            capacity: 5
        }
    ));
    assert!(matches!(
        refused(&mut state, &[4, 50]),
        TransformerError::TokenOutOfRange {
            token: 50,
            position: 4,
            ..
        }
    ));
    assert!(matches!(
        refused(&mut state, &[]),
        TransformerError::EmptySequence
    ));
    assert!(matches!(
        state.truncate(4),
        Err(TransformerError::CutBeyondEnd { found: 4, len: 3 })
    ));
    let mut stranger = State::new(&other, &plain, 5).unwrap();
    let error = State::extend_all(&mut [(&mut state, &[4]), (&mut stranger, &[4])]);
    assert!(matches!(error, Err(TransformerError::StatesDiffer)));
    assert_eq!((state.len(), stranger.len()), (3, 0));
    assert!(matches!(
        State::extend_all(&mut []),
        Err(TransformerError::EmptySequence)
    ));
    assert!(matches!(
        State::new(&model, &plain, 65),
        Err(TransformerError::SequenceTooLong {
            found: 65,
            context: 64
        })
    ));
    let fewer = Model::random(ModelConfig::tiny().with(|c| c.layers = 2), 3);
    assert!(matches!(
        State::new(&fewer, &plain, 5),
        Err(TransformerError::ScheduleMismatch { .. })
    ));
    let whole = model.run(&[1, 2, 3, 4, 5], &plain, &mut ()).unwrap();
    let rows = state.extend(&[4, 5]).unwrap();
    assert_eq!(rows, whole.slice(s![3.., ..]));
}

#[test]
fn a_state_does_not_cross_into_other_frequencies() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/parity/phi3-longrope"
    );
    let model = Model::open(folder).unwrap();
    let plain = Schedule::plain(model.stack()).unwrap();
    let crosses = |result: Result<(), TransformerError>| {
        matches!(
            result,
            Err(TransformerError::MixedLengths { limit: 16, .. })
        )
    };
    for (tokens, least) in [(1, 1), (16, 1), (17, 17), (64, 17)] {
        assert_eq!(State::least_beginning(model.config(), tokens), least);
    }
    let mut short = State::new(&model, &plain, 30).unwrap();
    short.extend(&[1; 16]).unwrap();
    assert!(crosses(short.extend(&[1]).map(drop)));
    let mut long = State::new(&model, &plain, 30).unwrap();
    long.extend(&[1; 17]).unwrap();
    assert!(crosses(long.truncate(16)));
    long.extend(&[1]).unwrap();
    long.truncate(0).unwrap();
    long.extend(&[1; 3]).unwrap();
}

#[test]
fn only_whole_paths_of_a_batch_have_frequencies() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/parity/phi3-longrope"
    );
    let model = Model::open(folder).unwrap();
    let plain = Schedule::plain(model.stack()).unwrap();
    let mut batch = Batch::default();
    let root = batch.add(&[1; 10]);
    let child = batch.add_child(root, &[2; 3]);
    let leaf = batch.add_child(child, &[3; 6]);
    let together = model.run(&batch, &plain, &mut ()).unwrap();
    let path = [&[1; 10][..], &[2; 3], &[3; 6]].concat();
    let alone = model.run(&path, &plain, &mut ()).unwrap();
    assert_eq!(
        together.slice(s![batch.rows_of(leaf), ..]),
        alone.slice(s![13.., ..])
    );
    batch.add_child(root, &[4]);
    let error = model.run(&batch, &plain, &mut ()).unwrap_err();
    assert!(
        matches!(
            error,
            TransformerError::MixedLengths {
                short: 11,
                long: 19,
                limit: 16
            }
        ),
        "{error}"
    );
}
