//! What each edit does, as tables of edit texts and printed schedules.

use layerwise_schedule::{Edit, MAX_STEPS, Residual, Schedule, Stack, Step, Sublayer};

fn plain(layers: usize, residual: Residual) -> Schedule {
    Schedule::plain(Stack::new(layers, residual)).unwrap()
}

/// Applies each text to the plain model of four blocks and compares the printed schedules.
fn check(residual: Residual, table: &[(&str, &str)]) {
    let plain = plain(4, residual);
    let results = table.iter().filter_map(|(text, expected)| {
        let found = match text.parse::<Edit>().and_then(|edit| edit.apply(&plain)) {
            Ok(schedule) => schedule.to_string(),
            Err(error) => format!("refused: {error}"),
        };
        (found != *expected).then(|| format!("{text}\n  expected {expected}\n  found    {found}"))
    });
    let failures: Vec<String> = results.collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn edits_of_a_sequential_stack() {
    check(
        Residual::Sequential,
        &[
            ("id", "attn0 mlp0 attn1 mlp1 attn2 mlp2 attn3 mlp3"),
            ("drop(1)", "attn0 mlp0 attn2 mlp2 attn3 mlp3"),
            ("drop(-1)", "attn0 mlp0 attn1 mlp1 attn2 mlp2"),
            ("drop(-0)", "attn1 mlp1 attn2 mlp2 attn3 mlp3"),
            ("drop_attn(1..L)", "attn0 mlp0 mlp1 mlp2 mlp3"),
            ("drop_mlp([0,-3..-1])", "attn0 attn1 attn2 attn3 mlp3"),
            ("keep(0..2)", "attn0 mlp0 attn1 mlp1"),
            ("keep([3,0])", "attn0 mlp0 attn3 mlp3"),
            ("keep(2);swap(1,2)", "attn1 mlp1"),
            ("keep(0..2);repeat(1)", "attn0 mlp0 attn1 mlp1 attn1 mlp1"),
            (
                "keep(0..2);drop_attn(1);repeat(1,3)",
                "attn0 mlp0 mlp1 mlp1 mlp1",
            ),
            (
                "drop(1);repeat(1);drop(1)",
                "attn0 mlp0 attn2 mlp2 attn3 mlp3",
            ),
            (
                "keep(1..3);loop(1..3)",
                "attn1 mlp1 attn2 mlp2 attn1 mlp1 attn2 mlp2",
            ),
            (
                "keep(0..2);scale(0,0.5);scale_mlp([0,1],-2)",
                "0.5*attn0 -1*mlp0 attn1 -2*mlp1",
            ),
            (
                "keep(0..2);scale(0,0.5);swap(0,1)",
                "0.5*attn1 0.5*mlp1 attn0 mlp0",
            ),
            (
                "keep(0..2);parallel(0..2)",
                "(0.5*[attn0 mlp0]|0.5*[attn1 mlp1])",
            ),
        ],
    );
}

#[test]
fn edits_of_a_parallel_residual_stack() {
    check(
        Residual::Parallel,
        &[
            ("id", "attn0+mlp0 attn1+mlp1 attn2+mlp2 attn3+mlp3"),
            ("drop(1)", "attn0+mlp0 attn2+mlp2 attn3+mlp3"),
            ("drop_attn(1..L)", "attn0+mlp0 mlp1 mlp2 mlp3"),
            (
                "drop_attn(1);drop_mlp(1)",
                "attn0+mlp0 attn2+mlp2 attn3+mlp3",
            ),
            ("keep(0..2);scale_mlp(0,0)", "attn0+0*mlp0 attn1+mlp1"),
            ("keep(0..2);scale_mlp(0,-0.0)", "attn0+0*mlp0 attn1+mlp1"),
            (
                "keep(0..2);loop(0..2)",
                "attn0+mlp0 attn1+mlp1 attn0+mlp0 attn1+mlp1",
            ),
            (
                "keep(0..2);parallel(0..2,sum)",
                "([attn0+mlp0]|[attn1+mlp1])",
            ),
        ],
    );
}

/// With the MLPs dropped, a block prints as one short step.
#[test]
fn relabelling_and_runs() {
    check(
        Residual::Sequential,
        &[
            ("drop_mlp(0..L);swap(0,3)", "attn3 attn1 attn2 attn0"),
            ("drop_mlp(0..L);swap(2,2)", "attn0 attn1 attn2 attn3"),
            ("drop_mlp(0..L);reverse(1..4)", "attn0 attn3 attn2 attn1"),
            (
                "drop_mlp(0..L);permute(1..4,[2,3,1])",
                "attn0 attn2 attn3 attn1",
            ),
            (
                "drop_mlp(0..L);permute(0..2,[-3,0])",
                "attn1 attn0 attn2 attn3",
            ),
            ("drop_mlp(0..L);shuffle(0..4,0)", "attn3 attn0 attn1 attn2"),
            ("drop_mlp(0..L);replace(1,2)", "attn0 attn2 attn2 attn3"),
            (
                "drop_mlp(0..L);replace(1,2);repeat(2)",
                "attn0 attn2 attn2 attn2 attn2 attn3",
            ),
            (
                "drop_mlp(0..L);loop(0..2);repeat(0)",
                "attn0 attn0 attn1 attn0 attn0 attn1 attn2 attn3",
            ),
            (
                "drop_mlp(0..L);repeat(1);loop(0..2)",
                "attn0 attn1 attn1 attn0 attn1 attn1 attn2 attn3",
            ),
            (
                "drop_mlp(0..L);swap(0,1);drop(1);loop(0..1)",
                "attn0 attn0 attn2 attn3",
            ),
            // A dropped block between two others brings them side by side, but the range must be whole.
            (
                "drop_mlp(0..L);drop(1);loop(2..4)",
                "attn0 attn2 attn3 attn2 attn3",
            ),
        ],
    );
}

#[test]
fn edits_reach_into_branches() {
    check(
        Residual::Sequential,
        &[
            (
                "drop_mlp(0..L);parallel(1..3)",
                "attn0 (0.5*[attn1]|0.5*[attn2]) attn3",
            ),
            ("drop_mlp(0..L);parallel(1..2)", "attn0 attn1 attn2 attn3"),
            (
                "drop_mlp(0..L);parallel(1..3);parallel(1..2)",
                "attn0 (0.5*[attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);parallel(1..3);drop(1)",
                "attn0 (0.5*[attn2]) attn3",
            ),
            ("drop_mlp(0..L);parallel(1..3);drop(1..3)", "attn0 attn3"),
            (
                "drop_mlp(0..L);parallel(1..3);swap(0,1)",
                "attn1 (0.5*[attn0]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);parallel(1..3);scale(1,3)",
                "attn0 (0.5*[3*attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);parallel(1..3);repeat(1)",
                "attn0 (0.5*[attn1 attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);parallel(1..3);loop(1..2)",
                "attn0 (0.5*[attn1 attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);parallel(1..3);loop(1..3)",
                "attn0 (0.5*[attn1]|0.5*[attn2]) (0.5*[attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);keep(1..3);parallel(1..3,sum);loop(1..3);repeat(1)",
                "([attn1 attn1]|[attn2]) ([attn1 attn1]|[attn2])",
            ),
            (
                "drop_mlp(0..L);keep(1..4);parallel(1..3,sum);loop(1..4)",
                "([attn1]|[attn2]) attn3 ([attn1]|[attn2]) attn3",
            ),
            (
                "drop_mlp(0..L);repeat(1);parallel(1..3)",
                "attn0 (0.5*[attn1 attn1]|0.5*[attn2]) attn3",
            ),
            (
                "drop_attn(1);keep(1..3);parallel(1..3)",
                "(0.5*[mlp1]|0.5*[attn2 mlp2])",
            ),
        ],
    );
}

#[test]
fn steps_can_be_read() {
    let schedule = plain(2, Residual::Parallel);
    let edit: Edit = "scale_mlp(1,0.25);parallel(0..2)".parse().unwrap();
    let schedule = edit.apply(&schedule).unwrap();
    assert_eq!(schedule.stack(), Stack::new(2, Residual::Parallel));
    let [Step::Branches(branches)] = schedule.steps() else {
        panic!("one parallel step")
    };
    assert_eq!(branches[1].weight(), 0.5);
    let [Step::Update(parts)] = branches[1].steps() else {
        panic!("one update")
    };
    assert_eq!(
        (parts[0].block(), parts[0].sublayer(), parts[0].scale()),
        (1, Sublayer::Attn, 1.0)
    );
    assert_eq!(
        (parts[1].block(), parts[1].sublayer(), parts[1].scale()),
        (1, Sublayer::Mlp, 0.25)
    );
    assert!(parts[0] < parts[1]);
    assert_eq!(schedule.step_count(), 2);
}

#[test]
fn the_step_cap_can_be_reached_exactly() {
    let layers = MAX_STEPS / 2;
    assert_eq!(plain(layers, Residual::Sequential).step_count(), MAX_STEPS);
    let four = plain(4, Residual::Parallel);
    for (text, steps) in [
        ("repeat(0,65533)", MAX_STEPS),
        ("loop(0..4,16384)", MAX_STEPS),
        ("loop(0..4,16383);repeat(0,2)", 16_383 * 5),
    ] {
        match text.parse::<Edit>().unwrap().apply(&four) {
            Ok(schedule) => assert_eq!(schedule.step_count(), steps, "{text}"),
            Err(_) => assert!(steps > MAX_STEPS, "{text}"),
        }
    }
}
