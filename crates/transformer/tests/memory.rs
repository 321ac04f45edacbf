//! Memory of a batch's buffers, measured by counting every allocation of the process; therefore this file has one test only.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_architecture::{Attention, Mlp, PerLayer, Rotary};
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{
    Batch, ExitingState, Missing, Model, ModelConfig, Precision, State, Values, Workspace,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[test]
fn buffers_are_within_their_bound_whatever_the_shape_of_the_batch() {
    let gated = ModelConfig::tiny().with(|c| {
        c.mlp = Mlp::Gated;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(8, 1e4)));
        c.kv_heads = 1;
    });
    let sequence = Batch::from(&[1; 60]);
    let mut single_tokens = Batch::default();
    let mut chain = Batch::default();
    let mut last = chain.add(&[2]);
    let mut star = Batch::default();
    let question = star.add(&[3; 40]);
    for token in 0..59 {
        single_tokens.add(&[token % 50]);
        last = chain.add_child(last, &[token % 50]);
        star.add_child(question, &[token % 50]);
    }
    for config in [ModelConfig::tiny(), gated] {
        let model = Model::random(config, 5);
        let plain = Schedule::plain(model.stack()).unwrap();
        for batch in [&sequence, &single_tokens, &chain, &star] {
            let mut residual = model.embed(batch).unwrap();
            let bound = Workspace::most_bytes(model.config(), batch.rows());
            let before = ALLOCATED.current_usage();
            ALLOCATED.reset_peak_usage();
            let mut workspace = Workspace::new(&model, batch);
            for stage in plain.stages() {
                model.apply(&stage, &mut residual, &mut workspace, &Values::default());
            }
            assert!(workspace.fits(batch));
            let peak = ALLOCATED.peak_usage() - before;
            assert!(peak <= bound, "{peak} bytes, at most {bound}");
            assert!(peak > bound / 2, "{peak} bytes of {bound}");
        }
        for capacity in [10, 64] {
            let bound = State::most_bytes(model.config(), &plain, capacity, Precision::F32);
            let before = ALLOCATED.current_usage();
            let mut state = State::new(&model, &plain, capacity).unwrap();
            state.extend(&vec![1; capacity]).unwrap();
            let schedule = size_of_val(&plain) + 400 * plain.steps().len();
            let taken = ALLOCATED.current_usage() - before;
            assert!(taken <= bound + schedule, "{taken} bytes, at most {bound}");
            assert!(taken > bound - bound / 8, "{taken} bytes of {bound}");
            // A fork shares the common pages.
            let fork = state.fork();
            let taken = ALLOCATED.current_usage() - before - taken;
            assert!(taken < bound / 4, "{taken} bytes beside {bound}");
            assert_eq!(fork.len(), capacity);
        }
        for missing in [Missing::Recompute, Missing::Propagate, Missing::Absent] {
            let (capacity, precision) = (64, Precision::F32);
            let config = model.config();
            let kept = ExitingState::most_bytes(config, capacity, missing, precision);
            let step = ExitingState::most_step_bytes(config, 1, capacity, 1, missing);
            let before = ALLOCATED.current_usage();
            let mut state = ExitingState::new(&model, capacity, missing).unwrap();
            let schedule = 2 * (size_of_val(&plain) + 400 * plain.steps().len());
            for token in 1..capacity {
                state.extend(&[1], &mut { token % 2 + 1 }).unwrap();
            }
            let taken = ALLOCATED.current_usage() - before;
            assert!(taken <= kept + schedule, "{taken} bytes, at most {kept}");
            // The last token runs together with all waiting tokens.
            ALLOCATED.reset_peak_usage();
            state.extend(&[1], &mut ()).unwrap();
            let (peak, bound) = (ALLOCATED.peak_usage() - before, kept + step);
            assert!(peak <= bound + schedule, "{peak} bytes, at most {bound}");
            assert!(peak > bound / 2, "{peak} bytes of {bound}");
        }
    }
    steps_of_any_schedule_are_within_their_bound();
    steps_of_several_schedules_are_within_twice_the_bound_of_one();
}

fn edited(plain: &Schedule, edit: &str) -> Schedule {
    edit.parse::<Edit>().unwrap().apply(plain).unwrap()
}

/// Branches hold streams, and an edit of attention weights needs the weights of all heads. In the wide model the streams take
/// most, in the other one the weights.
fn steps_of_any_schedule_are_within_their_bound() {
    let wide = ModelConfig::tiny().with(|c| c.model = 1024);
    for config in [ModelConfig::tiny(), wide] {
        let model = Model::random(config, 5);
        let plain = Schedule::plain(model.stack()).unwrap();
        for edit in ["id", "parallel(0..4)", "zero(attn.pattern[1,0])"] {
            let (schedule, tokens, config) = (edited(&plain, edit), 64, model.config());
            let kept = State::most_bytes(config, &schedule, tokens, Precision::F32);
            let step = State::most_step_bytes(config, &schedule, tokens, tokens, 1);
            let before = ALLOCATED.current_usage();
            let mut state = State::new(&model, &schedule, tokens).unwrap();
            ALLOCATED.reset_peak_usage();
            state.extend(&vec![1; tokens]).unwrap();
            let (peak, bound) = (ALLOCATED.peak_usage() - before, kept + step);
            let own = size_of_val(&schedule) + 400 * plain.steps().len();
            assert!(peak <= bound + own, "{edit}: {peak} bytes, at most {bound}");
            assert!(peak > bound / 2, "{edit}: {peak} bytes of {bound}");
        }
    }
}

/// At each of two steps another sequence waits for the others.
fn steps_of_several_schedules_are_within_twice_the_bound_of_one() {
    let config = ModelConfig::tiny().with(|c| (c.context, c.neurons) = (160, 256));
    let (model, tokens) = (Model::random(config, 5), 160);
    let plain = Schedule::plain(model.stack()).unwrap();
    let edits = [&["id"; 10][..], &["drop_attn(1)", "drop_attn(2)"]].concat();
    let schedules: Vec<Schedule> = edits.iter().map(|edit| edited(&plain, edit)).collect();
    let kept = |schedule| State::most_bytes(model.config(), schedule, tokens, Precision::F32);
    let kept: usize = schedules.iter().map(kept).sum();
    let rows = schedules.len() * tokens;
    let step = State::most_step_bytes(model.config(), &plain, rows, tokens, 1);
    let before = ALLOCATED.current_usage();
    let states = schedules
        .iter()
        .map(|schedule| State::new(&model, schedule, tokens).unwrap());
    let mut states: Vec<State<'_>> = states.collect();
    let text = vec![1; tokens];
    let mut all: Vec<_> = states.iter_mut().map(|state| (state, &text[..])).collect();
    ALLOCATED.reset_peak_usage();
    State::extend_all(&mut all).unwrap();
    let (peak, bound) = (ALLOCATED.peak_usage() - before, kept + 2 * step);
    assert!(peak <= bound, "{peak} bytes, at most {bound}");
    assert!(peak > bound / 2, "{peak} bytes of {bound}");
}
