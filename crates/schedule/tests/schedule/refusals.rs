//! Every refusal, with its fields.

use layerwise_schedule::{
    DEFAULT_MAX_MEMBERS, Edit, EditFamily, MAX_STEPS, MAX_TEXT_BYTES, Residual, Schedule,
    ScheduleError, Stack, Sublayer,
};
use proptest::prelude::*;

const STACK: Stack = Stack::new(12, Residual::Sequential);

/// Parses `text` as one edit and applies it to the plain model of twelve blocks.
fn refusal(text: &str) -> Result<Schedule, ScheduleError> {
    text.parse::<Edit>()?.apply(&Schedule::plain(STACK)?)
}

fn check(table: &[(&str, ScheduleError)]) {
    for (text, expected) in table {
        assert_eq!(refusal(text).err().as_ref(), Some(expected), "{text}");
        // Without variables a family refuses for the same reasons.
        let family = text
            .parse::<EditFamily>()
            .and_then(|f| f.expand(STACK, DEFAULT_MAX_MEMBERS));
        assert_eq!(family.err().as_ref(), Some(expected), "{text} as a family");
    }
}

fn syntax(at: usize, expected: &'static str, found: &str) -> ScheduleError {
    ScheduleError::Syntax {
        at,
        expected,
        found: found.to_owned(),
    }
}

#[test]
fn texts_outside_the_grammar_are_refused_at_the_byte() {
    const BLOCK: &str = "a block: a number, `l`, `m`, `L` or `(`";
    const END: &str = "the end of the text";
    const NAME: &str = "the name of an edit";
    check(&[
        ("", syntax(0, NAME, END)),
        ("  ", syntax(2, NAME, END)),
        ("(5)", syntax(0, NAME, "'('")),
        ("id;", syntax(3, NAME, END)),
        (";id", syntax(0, NAME, "';'")),
        ("id id", syntax(3, "`;` or the end of the text", "'i'")),
        ("id()", syntax(2, "`;` or the end of the text", "'('")),
        ("drop", syntax(4, "`(`", END)),
        ("drop(", syntax(5, BLOCK, END)),
        ("drop()", syntax(5, BLOCK, "')'")),
        ("drop([])", syntax(6, BLOCK, "']'")),
        ("drop([1,])", syntax(8, BLOCK, "']'")),
        ("drop([1;2])", syntax(7, "`,` or `]`", "';'")),
        ("drop(1,2)", syntax(6, "`)`", "','")),
        ("drop(5", syntax(6, "`)`", END)),
        ("drop(x)", syntax(5, BLOCK, "'x'")),
        ("drop(ll)", syntax(5, BLOCK, "'l'")),
        ("drop(1.5)", syntax(6, "`)`", "'.'")),
        ("drop(--1)", syntax(6, BLOCK, "'-'")),
        ("drop(2*-1)", syntax(7, BLOCK, "'-'")),
        ("drop((1)", syntax(8, "`)`", END)),
        ("drop(é)", syntax(5, BLOCK, "'é'")),
        ("swap(1)", syntax(6, "`,`", "')'")),
        ("reverse(3)", syntax(9, "`..`", "')'")),
        ("reverse([1,2])", syntax(8, BLOCK, "'['")),
        ("shuffle(0..4)", syntax(12, "`,`", "')'")),
        ("shuffle(0..4,-1)", syntax(13, "a seed", "'-'")),
        (
            "shuffle(0..4,18446744073709551616)",
            syntax(13, "a number below 2^64", "20 digits"),
        ),
        ("permute(0..2,0)", syntax(13, "`[`", "'0'")),
        ("permute(0..2,[0..2])", syntax(15, "`,` or `]`", "'.'")),
        ("repeat(1,l)", syntax(9, "a count", "'l'")),
        ("parallel(0..2,mean)", syntax(14, "`sum`", "'m'")),
        ("scale(1)", syntax(7, "`,`", "')'")),
        ("scale(1,)", syntax(8, "a finite decimal number", "')'")),
        ("scale(1,inf)", syntax(8, "a finite decimal number", "'i'")),
        ("scale(1,NaN)", syntax(8, "a finite decimal number", "'N'")),
        ("scale(1,1e)", syntax(8, "a finite decimal number", "'1'")),
    ]);
}

#[test]
fn unknown_edits_are_refused_with_the_nearest_names() {
    let unknown = |name: &str, at, nearest: &[&'static str]| ScheduleError::UnknownEdit {
        name: name.to_owned(),
        at,
        nearest: nearest.to_vec(),
    };
    check(&[
        ("swpa(1,2)", unknown("swpa", 0, &["swap"])),
        ("id; drop_atn(1)", unknown("drop_atn", 4, &["drop_attn"])),
        ("Drop(1)", unknown("Drop", 0, &["drop"])),
        ("scale_mpl(1,2)", unknown("scale_mpl", 0, &["scale_mlp"])),
        ("droop(1)", unknown("droop", 0, &["drop"])),
        ("dorp(1)", unknown("dorp", 0, &["drop"])),
        ("dröp(1)", unknown("dröp", 0, &["drop"])),
    ]);
}

#[test]
fn numbers_that_do_not_fit_the_stack_are_refused() {
    let index = |edit: &str, index| ScheduleError::IndexOutOfRange {
        edit: edit.to_owned(),
        index,
        layers: 12,
    };
    let range = |edit: &str, start, end| ScheduleError::EmptyRange {
        edit: edit.to_owned(),
        start,
        end,
    };
    let permutation = |edit: &str, start, end, labels: &[usize]| ScheduleError::NotAPermutation {
        edit: edit.to_owned(),
        start,
        end,
        labels: labels.to_vec(),
    };
    check(&[
        ("drop(12)", index("drop(12)", 12)),
        ("id;drop( L )", index("drop(L)", 12)),
        ("drop(-13)", index("drop(-13)", -13)),
        ("drop(2-3)", index("drop(2-3)", -1)),
        ("drop((-1))", index("drop((-1))", -1)),
        ("drop(-1+0)", index("drop(-1+0)", -1)),
        ("drop(0..13)", index("drop(0..13)", 13)),
        ("drop([1,2,30])", index("drop([1,2,30])", 30)),
        ("swap(0,12)", index("swap(0,12)", 12)),
        ("replace(12,0)", index("replace(12,0)", 12)),
        ("permute(0..2,[0,12])", index("permute(0..2,[0,12])", 12)),
        (
            "drop(18446744073709551615)",
            index("drop(18446744073709551615)", u64::MAX.into()),
        ),
        (
            "drop(-18446744073709551615)",
            index("drop(-18446744073709551615)", -i128::from(u64::MAX)),
        ),
        ("drop(1);drop(1);drop(12)", index("drop(12)", 12)),
        ("drop(3..3)", range("drop(3..3)", 3, 3)),
        ("keep(12..L)", range("keep(12..L)", 12, 12)),
        ("loop(5..-9)", range("loop(5..-9)", 5, 3)),
        ("reverse(4..2)", range("reverse(4..2)", 4, 2)),
        (
            "permute(0..2,[0,0])",
            permutation("permute(0..2,[0,0])", 0, 2, &[0, 0]),
        ),
        (
            "permute(0..2,[-12])",
            permutation("permute(0..2,[0])", 0, 2, &[0]),
        ),
        (
            "permute(0..2,[1,2])",
            permutation("permute(0..2,[1,2])", 0, 2, &[1, 2]),
        ),
        (
            "drop(9999999999999999999*9999999999999999999*9999999999999999999)",
            ScheduleError::IndexOverflow {
                edit: "drop(9999999999999999999*9999999999999999999*9999999999999999999)"
                    .to_owned(),
                expression: "9999999999999999999*9999999999999999999*9999999999999999999"
                    .to_owned(),
            },
        ),
    ]);
}

#[test]
fn counts_and_factors_outside_their_range_are_refused() {
    let count = |edit, at, count| ScheduleError::Count {
        edit,
        at,
        count,
        max: MAX_STEPS,
    };
    let factor = |factor: &str| ScheduleError::FactorNotFinite {
        factor: factor.to_owned(),
        at: 8,
    };
    check(&[
        ("repeat(5,0)", count("repeat", 9, 0)),
        ("loop(5..6, 0)", count("loop", 11, 0)),
        ("repeat(5,65537)", count("repeat", 9, 65_537)),
        (
            "loop(5..6,18446744073709551615)",
            count("loop", 10, u64::MAX),
        ),
        ("scale(5,1e999)", factor("1e999")),
        ("scale(5,-1e999)", factor("-1e999")),
        (
            "scale(5..8,1e200);scale_mlp(0..L,-1e200)",
            ScheduleError::ScaleOverflow {
                edit: "scale_mlp(0..12,-1e200)".to_owned(),
                block: 5,
                sublayer: Sublayer::Mlp,
                scale: 1e200,
            },
        ),
    ]);
}

#[test]
fn schedules_that_are_empty_or_too_long_are_refused() {
    let empty = |edit: &str| ScheduleError::EmptySchedule {
        edit: edit.to_owned(),
    };
    let long = |edit: &str, steps| ScheduleError::TooManySteps {
        edit: edit.to_owned(),
        steps,
        max: MAX_STEPS,
    };
    check(&[
        ("drop(0..L)", empty("drop(0..12)")),
        ("drop(0..5);keep(0..5)", empty("keep(0..5)")),
        (
            "drop_attn(0..L);drop_mlp(0..-1);drop_mlp(-1)",
            empty("drop_mlp(11)"),
        ),
        ("parallel(0..L);drop(0..L);id", empty("drop(0..12)")),
        (
            "repeat(0..L,65536)",
            long("repeat(0..12,65536)", 24 * 65_536),
        ),
        ("repeat(0,32758)", long("repeat(0,32758)", 22 + 2 * 32_758)),
        ("loop(0..L,2731)", long("loop(0..12,2731)", 24 * 2_731)),
        // Steps inside branches count too.
        (
            "parallel(0..L);loop(0..L,2731)",
            long("loop(0..12,2731)", 24 * 2_731),
        ),
        (
            "parallel(0..L);repeat(3,65536)",
            long("repeat(3,65536)", 22 + 2 * 65_536),
        ),
        (
            "repeat(0,32756);repeat(0,65536)",
            long("repeat(0,65536)", 22 + 2 * 32_756 * 65_536),
        ),
    ]);
    let plain = |layers, residual| Schedule::plain(Stack::new(layers, residual));
    assert_eq!(plain(0, Residual::Parallel), Err(ScheduleError::EmptyStack));
    assert_eq!(
        plain(MAX_STEPS, Residual::Sequential),
        Err(long("id", 131_072))
    );
    assert_eq!(
        plain(MAX_STEPS + 1, Residual::Parallel),
        Err(long("id", 65_537))
    );
    assert_eq!(
        plain(usize::MAX, Residual::Sequential),
        Err(long("id", usize::MAX as u64))
    );
}

#[test]
fn segments_that_no_longer_stand_are_refused() {
    let gone = |edit: &str, start, end, found: &str| ScheduleError::SegmentGone {
        edit: edit.to_owned(),
        start,
        end,
        found: found.to_owned(),
    };
    check(&[
        (
            "drop(5);loop(5..6)",
            gone("loop(5..6)", 5, 6, "none of them"),
        ),
        (
            "drop(5);parallel(5..6)",
            gone("parallel(5..6)", 5, 6, "none of them"),
        ),
        ("drop(5);loop(4..7)", gone("loop(4..7)", 4, 7, "4 6")),
        ("swap(4,5);loop(4..6,3)", gone("loop(4..6,3)", 4, 6, "5 4")),
        (
            "swap(5,9);parallel(4..6)",
            gone("parallel(4..6)", 4, 6, "4 9 6 7 8 5"),
        ),
        (
            "loop(4..6);parallel(4..6)",
            gone("parallel(4..6)", 4, 6, "4 5 4 5"),
        ),
        ("loop(4..6);loop(4..5)", gone("loop(4..5)", 4, 5, "4 5 4")),
        ("replace(5,4);loop(4..6)", gone("loop(4..6)", 4, 6, "4")),
        (
            "parallel(4..6);parallel(3..6,sum)",
            gone("parallel(3..6,sum)", 3, 6, "3 (4 5)"),
        ),
        (
            "parallel(4..6);parallel(4..6)",
            gone("parallel(4..6)", 4, 6, "(4 5)"),
        ),
        (
            "parallel(4..6);loop(3..5)",
            gone("loop(3..5)", 3, 5, "3 (4 5)"),
        ),
        (
            "parallel(4..6);replace(5,4);loop(4..5)",
            gone("loop(4..5)", 4, 5, "(4 4)"),
        ),
        (
            "parallel(4..6);replace(3,4);loop(4..5)",
            gone("loop(4..5)", 4, 5, "4 (4 5)"),
        ),
        (
            "loop(0..2,99);parallel(0..2)",
            gone(
                "parallel(0..2)",
                0,
                2,
                &format!("{} …", ["0 1"; 21].join(" ")[..81].trim_end()),
            ),
        ),
    ]);
}

#[test]
fn families_that_do_not_fit_are_refused() {
    let expand = |text: &str, layers, max| {
        let stack = Stack::new(layers, STACK.residual);
        text.parse::<EditFamily>()
            .and_then(|family| family.expand(stack, max))
            .unwrap_err()
    };
    let index = |edit: &str, index, layers| {
        Some(Box::new(ScheduleError::IndexOutOfRange {
            edit: edit.to_owned(),
            index,
            layers,
        }))
    };
    let empty = |edit: &str| {
        Some(Box::new(ScheduleError::EmptySchedule {
            edit: edit.to_owned(),
        }))
    };
    let none = |family: &str, layers, first| ScheduleError::NoMembers {
        family: family.to_owned(),
        layers,
        first,
    };
    for (text, layers, max, expected) in [
        (
            "swap(l, l+1)",
            1,
            9,
            none("swap(l,l+1)", 1, index("swap(l,l+1)", 1, 1)),
        ),
        (
            "repeat(l..l+5)",
            2,
            9,
            none("repeat(l..l+5)", 2, index("repeat(l..l+5)", 5, 2)),
        ),
        ("swap(l,m)", 1, 9, none("swap(l,m)", 1, None)),
        (
            "drop(l..l)",
            3,
            9,
            none(
                "drop(l..l)",
                3,
                Some(Box::new(ScheduleError::EmptyRange {
                    edit: "drop(l..l)".to_owned(),
                    start: 0,
                    end: 0,
                })),
            ),
        ),
        (
            "swap(l,m)",
            12,
            65,
            ScheduleError::TooManyMembers {
                family: "swap(l,m)".to_owned(),
                max: 65,
            },
        ),
        (
            "id",
            2,
            0,
            ScheduleError::TooManyMembers {
                family: "id".to_owned(),
                max: 0,
            },
        ),
        ("drop(l)", 0, 9, ScheduleError::EmptyStack),
        ("drop(l)", 1, 9, none("drop(l)", 1, empty("drop(0)"))),
        (
            "drop(l);drop(0..L)",
            2,
            9,
            none("drop(l);drop(0..L)", 2, empty("drop(0..2)")),
        ),
        (
            "drop(1);loop(l..l+1)",
            3,
            9,
            ScheduleError::SegmentGone {
                edit: "loop(1..2)".to_owned(),
                start: 1,
                end: 2,
                found: "none of them".to_owned(),
            },
        ),
    ] {
        assert_eq!(
            expand(text, layers, max),
            expected,
            "{text} on {layers} blocks"
        );
    }
}

#[test]
fn a_single_edit_has_no_variables() {
    for (text, variable, at) in [
        ("drop(l)", 'l', 5),
        ("drop(m)", 'm', 5),
        ("id;swap( m , l )", 'm', 9),
        ("drop(L-l)", 'l', 7),
    ] {
        assert_eq!(
            text.parse::<Edit>(),
            Err(ScheduleError::FreeVariable { variable, at }),
            "{text}"
        );
    }
}

#[test]
fn hostile_texts_are_refused_or_read_without_harm() {
    let long = "1".repeat(MAX_TEXT_BYTES + 1);
    let too_long = ScheduleError::TextTooLong {
        bytes: MAX_TEXT_BYTES + 1,
        max: MAX_TEXT_BYTES,
    };
    assert_eq!(long.parse::<EditFamily>(), Err(too_long));
    let nested = |depth: usize| format!("drop({}1{})", "(".repeat(depth), ")".repeat(depth));
    assert!(refusal(&nested(32)).is_ok());
    assert!(refusal(&format!("drop({}3)", "(1)*".repeat(40))).is_ok());
    assert_eq!(
        refusal(&nested(33)),
        Err(syntax(37, "at most 32 nested parentheses", "'('"))
    );
    assert_eq!(
        refusal(&nested(30_000)),
        Err(syntax(37, "at most 32 nested parentheses", "'('"))
    );
    assert!(refusal(&format!("drop({}3)", "0+".repeat(30_000))).is_ok());
    assert!(refusal(&format!("drop({}3)", "1*".repeat(30_000))).is_ok());
    assert!(refusal(&format!("drop([{}3])", "0..3,".repeat(13_000))).is_ok());
    assert!(matches!(
        refusal(&format!("drop({}", "9".repeat(60_000))),
        Err(ScheduleError::Syntax { at: 5, .. })
    ));
    assert!(matches!(
        refusal(&format!("{}(1)", "é".repeat(30_000))),
        Err(ScheduleError::UnknownEdit { at: 0, .. })
    ));
}

#[test]
fn messages_name_the_edit_and_the_numbers() {
    for (text, message) in [
        (
            "drop(5",
            "expected `)` at byte 6, found the end of the text",
        ),
        ("lop(1..2)", "unknown edit `lop` at byte 0; nearest: loop"),
        (
            "drop(l)",
            "free variable `l` at byte 5: this is a family of edits; give a single edit",
        ),
        (
            "repeat(5,0)",
            "count 0 of `repeat` at byte 9 is outside 1..=65536",
        ),
        ("scale(5,1e999)", "factor 1e999 at byte 8 is not finite"),
        ("drop(3..3)", "`drop(3..3)`: range 3..3 is empty"),
        ("drop(4..3)", "`drop(4..3)`: range 4..3 is reversed"),
        (
            "permute(0..2,[0,0])",
            "`permute(0..2,[0,0])`: the list must hold every block of 0..2 exactly once, found [0, 0]",
        ),
        (
            "drop(0..L)",
            "`drop(0..12)` leaves an empty schedule; at least one step must remain",
        ),
        (
            "loop(0..L,9999)",
            "`loop(0..12,9999)` makes a schedule of 239976 steps; at most 65536 are allowed",
        ),
        (
            "swap(4,5);loop(4..6)",
            "`loop(4..6)` needs blocks 4..6 side by side, ascending, one unbroken run each; found 5 4",
        ),
    ] {
        assert_eq!(refusal(text).unwrap_err().to_string(), message);
    }
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in any::<String>()) {
        _ = text.parse::<Edit>();
        _ = text.parse::<EditFamily>();
    }

    #[test]
    fn no_sequence_of_tokens_makes_expanding_panic(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..12),
        open in prop::sample::select(TOKENS),
        layers in 0..5_usize,
        residual in prop::sample::select(vec![Residual::Sequential, Residual::Parallel]),
    ) {
        for text in [tokens.concat(), format!("{open}({})", tokens.concat())] {
            if let Ok(family) = text.parse::<EditFamily>() {
                _ = family.expand(Stack::new(layers, residual), 64);
            }
        }
    }
}

const TOKENS: &[&str] = &[
    "id",
    "drop",
    "drop_attn",
    "keep",
    "swap",
    "reverse",
    "shuffle",
    "permute",
    "repeat",
    "loop",
    "replace",
    "parallel",
    "scale_mlp",
    "(",
    ")",
    "[",
    "]",
    ",",
    "..",
    ";",
    "+",
    "-",
    "*",
    "l",
    "m",
    "L",
    "0",
    "1",
    "2",
    "7",
    "65536",
    "18446744073709551615",
    "1e308",
    "0.5",
    ".",
    " ",
    "sum",
    "é",
];
