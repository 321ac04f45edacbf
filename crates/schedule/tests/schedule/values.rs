//! Edits of values: their texts, their refusals and their laws as values.

use crate::strategies::{edit, relabelling};
use layerwise_schedule::{
    Bounds, Coefficient, Edit, EditFamily, Operation, Replacement, Residual, Schedule,
    ScheduleError, Selection, Set, Site, Source, Stack, Target, Trie, Units,
};
use proptest::prelude::*;

const UNITS: Units = Units::new(4, 2, 6, 8);
const LAYERS: usize = 6;

fn stack() -> Stack {
    Stack::new(LAYERS, Residual::Sequential).with_units(UNITS)
}

fn made(text: &str) -> Result<Schedule, ScheduleError> {
    let plain = Schedule::plain(stack())?;
    text.parse::<Edit>()?.apply(&plain)
}

#[test]
fn texts_and_operations_are_two_forms_of_one_edit() {
    let check = |text: &str, operation: Operation, resolved: &str| {
        let edit: Edit = text.parse().unwrap();
        assert_eq!(edit.to_string(), text);
        assert_eq!(
            edit.resolved(stack()).unwrap(),
            std::slice::from_ref(&operation),
            "{text}"
        );
        assert_eq!(operation.to_string(), resolved);
        assert_eq!(resolved.parse::<Edit>().unwrap(), Edit::from(operation));
    };
    let change = Operation::Change;
    let number = |value| Coefficient::new(value).unwrap();
    let name = || "probe/layer.3:head-2".parse().unwrap();
    check(
        "zero(resid.post[4..])",
        change(
            Selection::of(Site::ResidPost).blocks(4..6),
            Replacement::Zero,
        ),
        "zero(resid.post[4..6])",
    );
    check(
        "drop([0,-2..])",
        Operation::Drop(Target::Block, Set::from(0).and(4..6)),
        "drop([0,4..6])",
    );
    check(
        "zero(embed)",
        change(Selection::of(Site::Embed), Replacement::Zero),
        "zero(embed)",
    );
    let heads = Selection::of(Site::AttnHeadOut);
    check(
        "mean(attn.head_out[L-1,-1])",
        change(heads.blocks(5).units(3), Replacement::Mean),
        "mean(attn.head_out[5,3])",
    );
    let queries = Selection::of(Site::AttnQ).blocks(Set::from(1).and(3..5));
    check(
        "resample(attn.q[[1,3..5],1..])",
        change(queries.units(1..4), Replacement::Resample),
        "resample(attn.q[[1,3..5],1..4])",
    );
    check(
        "plain(mlp.post[0..6])",
        change(
            Selection::of(Site::MlpPost).blocks(0..6),
            Replacement::Plain,
        ),
        "plain(mlp.post[0..6])",
    );
    check(
        "donor(resid.post[2]@-1)",
        change(
            Selection::of(Site::ResidPost).blocks(2).at(-1),
            Replacement::Donor,
        ),
        "donor(resid.post[2]@-1)",
    );
    check(
        "put(resid.pre[2]@3..,probe/layer.3:head-2)",
        change(
            Selection::of(Site::ResidPre).blocks(2).at(3..),
            Replacement::Put(name()),
        ),
        "put(resid.pre[2]@3..,probe/layer.3:head-2)",
    );
    let places = Set::from(0).and(-3..-1);
    check(
        "add(mlp.out@[0,-3..-1],probe/layer.3:head-2,-0.5)",
        change(
            Selection::of(Site::MlpOut).at(places),
            Replacement::Add(name(), number(-0.5)),
        ),
        "add(mlp.out@[0,-3..-1],probe/layer.3:head-2,-0.5)",
    );
    check(
        "scale(attn.v[0],0.5)",
        change(
            Selection::of(Site::AttnV).blocks(0),
            Replacement::Scale(number(0.5)),
        ),
        "scale(attn.v[0],0.5)",
    );
    check(
        "window(0..3,8)",
        Operation::Window {
            blocks: (0..3).into(),
            width: 8,
            strict: false,
        },
        "window(0..3,8)",
    );
    check(
        "window(5,1,strict)",
        Operation::Window {
            blocks: 5.into(),
            width: 1,
            strict: true,
        },
        "window(5,1,strict)",
    );
    check(
        "cut(3,1..,-1,[0,2..4])",
        Operation::Cut {
            blocks: 3.into(),
            heads: (1..4).into(),
            queries: (-1).into(),
            keys: Set::from(0).and(2..4),
        },
        "cut(3,1..4,-1,[0,2..4])",
    );
}

#[test]
fn what_a_schedule_does_to_values_can_be_inspected() {
    let schedule =
        made("mean(attn.head_out[[1,2],0..2]);zero(attn.head_out[1,1]@-1);window(2,4)").unwrap();
    let overlay = schedule.overlay();
    let places: Vec<_> = overlay.taken_from(Source::Mean).collect();
    assert_eq!(
        places,
        [(Some(1), Site::AttnHeadOut), (Some(2), Site::AttnHeadOut)]
    );
    assert_eq!(overlay.changed(Some(1), Site::AttnHeadOut).len(), 2);
    assert!(overlay.changed(Some(0), Site::AttnHeadOut).is_empty());
    assert!(overlay.counts_from_end());
    assert_eq!(
        overlay.to_string(),
        "mean(attn.head_out[1,0]);mean(attn.head_out[1,1]);zero(attn.head_out[1,1]@-1);mean(attn.head_out[2,0..2]);window(2,4)"
    );
    // Parsing the text again gives the same overlay.
    assert_eq!(made(&overlay.to_string()).unwrap().overlay(), overlay);
}

#[test]
fn what_cannot_be_meant_is_refused_and_named() {
    let check = |text: &str, expected: &str| {
        let message = made(text).unwrap_err().to_string();
        assert_eq!(message, expected, "{text}");
    };
    check(
        "zero(attn.haed_out)",
        "unknown site `attn.haed_out` at byte 5; the nearest are attn.head_out",
    );
    check("zero()", "expected the name of a site at byte 5, found ')'");
    check(
        "zero(attn.q[3)",
        "expected `,` or `]` at byte 13, found ')'",
    );
    check("put(embed)", "expected `,` at byte 9, found ')'");
    check("add(embed,v)", "expected `,` at byte 11, found ')'");
    check(
        "window(3,0)",
        "count 0 of `window` at byte 9 is outside 1..=1073741824",
    );
    check(
        "window(3,4,loose)",
        "expected `strict` at byte 11, found 'l'",
    );
    check(
        "zero(logits)",
        "`zero(logits)`: site `logits` can be read but not written; write what goes into it or comes out of it",
    );
    check(
        "zero(embed[0])",
        "`zero(embed[0])`: `embed` belongs to no block; leave the brackets out",
    );
    check(
        "zero(mlp.up[0])",
        "`zero(mlp.up[0])`: site `mlp.up` does not exist in this model: the MLP has no gate",
    );
    check(
        "zero(attn.q[6])",
        "`zero(attn.q[6])`: 6 is out of range in a stack of 6 blocks",
    );
    check(
        "zero(attn.q[5,4])",
        "`zero(attn.q[5,4])`: 4 is out of range: `attn.q` has 4 heads in this model",
    );
    check(
        "zero(attn.k[5,-3])",
        "`zero(attn.k[5,-3])`: -3 is out of range: `attn.k` has 2 KV heads in this model",
    );
    check(
        "zero(resid.pre[5,0..9])",
        "`zero(resid.pre[5,0..9])`: 9 is out of range: `resid.pre` has 8 dimensions in this model",
    );
    check(
        "zero(attn.q@(0-1))",
        "`zero(attn.q@(0-1))`: position -1 is out of range",
    );
    check(
        "zero(attn.q@4..2)",
        "`zero(attn.q@4..2)`: the range of positions 4..2 is empty",
    );
    check(
        "mean(attn.pattern[0])",
        "`mean(attn.pattern[0])`: attention patterns have no mean and no tensor of one position; use zero, scale, plain, donor or resample, or hide keys with cut or window",
    );
    let parallel = Schedule::plain(Stack::new(2, Residual::Parallel).with_units(UNITS)).unwrap();
    let error = "zero(resid.mid)".parse::<Edit>().unwrap().apply(&parallel);
    assert!(
        matches!(error, Err(ScheduleError::NoSuchSite { .. })),
        "{error:?}"
    );
    let bare = Schedule::plain(Stack::new(2, Residual::Parallel)).unwrap();
    let error = "zero(embed)".parse::<Edit>().unwrap().apply(&bare);
    assert!(
        matches!(error, Err(ScheduleError::NoSuchSite { .. })),
        "{error:?}"
    );
}

#[test]
fn positions_are_checked_against_the_length_of_a_sequence() {
    let check_within = |window: usize, text: &str, len: usize, expected: Option<&str>| {
        let overlay = made(text).unwrap().overlay().clone();
        let first_key = |_, query: usize| (query + 1).saturating_sub(window);
        let checked = overlay.check_positions(len, &first_key);
        assert_eq!(
            checked.err().map(|e| e.to_string()).as_deref(),
            expected,
            "{text} of {len}, window {window}"
        );
    };
    let check = |text: &str, len, expected: Option<&str>| check_within(len, text, len, expected);
    check("zero(embed@3)", 4, None);
    check(
        "zero(embed@3)",
        3,
        Some("`zero(embed@3)`: position 3 is out of range in a sequence of 3 tokens"),
    );
    check(
        "zero(embed@-3..)",
        2,
        Some("`zero(embed@-3..)`: position -3 is out of range in a sequence of 2 tokens"),
    );
    check("zero(embed@2..-1)", 4, None);
    check(
        "zero(embed@2..-1)",
        3,
        Some("`zero(embed@2..-1)`: the range of positions 2..-1 is empty"),
    );
    check("cut(0,1,2,0..2)", 3, None);
    let none_left = "`cut(0,1,2,0..3)`: in a sequence of 3 tokens, query 2 of head 1 is left without any key; at least one must remain";
    check("cut(0,1,2,0..3)", 3, Some(none_left));
    check("cut(0,1,2,2);window(0,1)", 3, None);
    let none_left = "`cut(0,1,2,2)`: in a sequence of 3 tokens, query 2 of head 1 is left without any key; at least one must remain";
    check("cut(0,1,2,2);window(0,1,strict)", 3, Some(none_left));
    // Keys before the model's own window are not seen either.
    check_within(3, "cut(0,1,2,1..3)", 3, None);
    let none_left = "`cut(0,1,2,1..3)`: in a sequence of 3 tokens, query 2 of head 1 is left without any key; at least one must remain";
    check_within(2, "cut(0,1,2,1..3)", 3, Some(none_left));
    check_within(2, "cut(0,1,2,0..2)", 3, None);
}

/// Ranges without an end need no parsing to exist.
#[test]
fn operations_with_ranges_without_an_end_print_what_is_read_back() {
    let check = |operation: Operation, text: &str| {
        assert_eq!(operation.to_string(), text);
        let read = text.parse::<Edit>().unwrap();
        let applied = |edit: &Edit| edit.apply(&Schedule::plain(stack()).unwrap()).unwrap();
        assert_eq!(applied(&read), applied(&Edit::from(operation)), "{text}");
    };
    check(Operation::Drop(Target::Block, (4..).into()), "drop(4..)");
    check(
        Operation::Change(Selection::of(Site::MlpOut).blocks(4..), Replacement::Zero),
        "zero(mlp.out[4..])",
    );
    let read = Selection::read_all("resid.post[4..],mlp.out[1..,0]", stack()).unwrap();
    assert_eq!(read[0], Selection::of(Site::ResidPost).blocks(4..6));
    assert_eq!(read.len(), 2);
}

#[test]
fn families_run_over_heads_and_positions() {
    let expand =
        |text: &str, bounds: Bounds| text.parse::<EditFamily>().unwrap().expand(stack(), bounds);
    let names = |text: &str, bounds: Bounds| -> Vec<String> {
        let members = expand(text, bounds).unwrap();
        members
            .iter()
            .map(|member| member.edit.to_string())
            .collect()
    };
    let heads = names("zero(attn.head_out[l,h])", Bounds::default());
    assert_eq!(heads.len(), 24);
    assert_eq!(
        (&*heads[5], &*heads[23]),
        ("zero(attn.head_out[1,1])", "zero(attn.head_out[5,3])")
    );
    assert_eq!(names("zero(attn.k[2,h])", Bounds::default()).len(), 2);
    let error = expand("zero(mlp.post[2,h])", Bounds::default()).unwrap_err();
    let expected = "family `zero(mlp.post[2,h])` runs over the 6 neurons of `mlp.post`: set the largest number of members";
    assert_eq!(error.to_string(), expected);
    assert_eq!(names("zero(mlp.post[2,h])", 10.into()).len(), 6);
    let error = expand("donor(resid.post[l]@p)", Bounds::default()).unwrap_err();
    assert!(
        matches!(error, ScheduleError::PositionsDiffer { .. }),
        "{error}"
    );
    let of_five = Bounds::default().positions(Some(5));
    let members = expand("donor(resid.post[l]@p)", of_five).unwrap();
    assert_eq!(
        (members.len(), members[7].l, members[7].p),
        (30, Some(1), Some(2))
    );
    assert_eq!(names("donor(embed@p..p+2)", of_five).len(), 4);
    // A window at least as long as the sequence changes no output, but the algebra does not know the length. It does simplify
    // `scale` by 1.
    let error = expand("scale(attn.q[l,h],1)", Bounds::default()).unwrap_err();
    assert!(matches!(error, ScheduleError::NoMembers { .. }), "{error}");
}

#[test]
fn programs_share_what_comes_before_the_first_difference() {
    let schedules: Vec<Schedule> = [
        "id",
        "zero(attn.head_out[3,1])",
        "zero(attn.head_out[3,2])",
        "mean(resid.post[3])",
        "zero(embed)",
    ]
    .map(|text| made(text).unwrap())
    .to_vec();
    let trie = Trie::new(&schedules);
    // Blocks 0 to 2 are shared; so is block 3's attention, unless an edit changes the stream at its end. `embed` is a stage of
    // its own.
    assert_eq!(trie.naive_steps(), 5 * 12 + 1);
    assert_eq!(trie.planned_steps(), 12 + 6 + 6 + 5 + 13);
    // If the MLP is dropped, the attention ends the block's run.
    let dropped =
        ["drop_mlp(3)", "drop_mlp(3);zero(resid.post[3])"].map(|text| made(text).unwrap());
    let trie = Trie::new(&dropped);
    assert_eq!(trie.planned_steps(), 6 + 5 + 5);
}

/// An edit of the values `A`.
fn verb() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "zero(A)",
        "mean(A)",
        "plain(A)",
        "donor(A)",
        "resample(A)",
        "put(A,v)",
        "add(A,v,2)",
        "scale(A,0.5)",
    ])
}

fn change() -> impl Strategy<Value = String> {
    (verb(), address()).prop_map(|(verb, address)| verb.replace('A', &address))
}

fn replacing() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "zero(A)",
        "mean(A)",
        "plain(A)",
        "donor(A)",
        "resample(A)",
        "put(A,v)",
    ])
}

fn address() -> impl Strategy<Value = String> {
    let site = prop::sample::select(vec!["attn.q", "attn.head_out", "mlp.post"]);
    let positions = prop::sample::select(vec!["", "@0", "@1..3", "@-1", "@2..", "@[0,-2..-1]"]);
    (site, 0..3_usize, 0..4_usize, 1..3_usize, positions).prop_map(
        |(site, block, first, count, positions)| {
            let last = (first + count).min(4);
            format!("{site}[{block},{first}..{last}]{positions}")
        },
    )
}

fn hiding() -> impl Strategy<Value = String> {
    let window = (0..3_usize, 1..4_usize, any::<bool>()).prop_map(|(block, width, strict)| {
        format!(
            "window({block},{width}{})",
            if strict { ",strict" } else { "" }
        )
    });
    let cut = (0..3_usize, 0..4_usize, 1..4_usize)
        .prop_map(|(block, head, query)| format!("cut({block},{head},{query},0)"));
    prop_oneof![window, cut]
}

fn value_edit() -> impl Strategy<Value = String> {
    prop_oneof![3 => change(), 1 => hiding()]
}

proptest! {
    #[test]
    fn printing_and_parsing_is_the_identity(edits in prop::collection::vec(value_edit(), 1..4)) {
        let edit: Edit = edits.join(" ; ").parse().unwrap();
        prop_assert_eq!(&edit.to_string().parse::<Edit>().unwrap(), &edit);
        let resolved = edit.resolve(stack()).unwrap();
        prop_assert_eq!(&resolved.to_string().parse::<Edit>().unwrap(), &resolved);
        prop_assert_eq!(resolved.apply(&Schedule::plain(stack()).unwrap()), made(&edit.to_string()));
        prop_assert_eq!(Edit::from_iter(edit.resolved(stack()).unwrap()), resolved);
    }

    #[test]
    fn an_overlay_prints_as_an_edit_that_makes_it(edits in prop::collection::vec(value_edit(), 1..5)) {
        let schedule = made(&edits.join(";")).unwrap();
        prop_assert_eq!(made(&schedule.overlay().to_string()).unwrap(), schedule);
    }

    #[test]
    fn chaining_is_associative_with_id(a in value_edit(), b in edit(LAYERS), c in value_edit()) {
        let (a, b, c): (Edit, Edit, Edit) = (a.parse().unwrap(), b.edit(), c.parse().unwrap());
        let plain = Schedule::plain(stack()).unwrap();
        let left = a.clone().then(b.clone()).then(c.clone());
        let right = a.clone().then(b.then(c));
        prop_assert_eq!(left.apply(&plain).ok(), right.apply(&plain).ok());
        let id: Edit = "id".parse().unwrap();
        prop_assert_eq!(id.clone().then(a.clone()).apply(&plain), a.clone().then(id).apply(&plain));
    }

    #[test]
    fn of_replacements_at_equal_addresses_the_last_counts(at in address(), first in change(), verb in replacing()) {
        let on = |verb: &str| verb.replace('A', &at);
        let (earlier, later) = (first, on(verb));
        let same = format!("scale({at},3)");
        prop_assert_eq!(made(&format!("{same};{later}")).unwrap(), made(&later).unwrap());
        let twice = made(&format!("{later};{later}")).unwrap();
        prop_assert_eq!(&twice, &made(&later).unwrap());
        // Doing the same again changes nothing, whatever came before.
        prop_assert_eq!(made(&format!("{earlier};{later};{later}")).unwrap(), made(&format!("{earlier};{later}")).unwrap());
    }

    #[test]
    fn edits_at_addresses_apart_commute(a in verb(), b in verb()) {
        for (left, right) in [
            ("attn.q[0]", "attn.q[1..3]"),
            ("attn.q[0]", "attn.k[0]"),
            ("attn.q[0,0]", "attn.q[0,1..3]"),
            ("mlp.out[1]@0..2", "mlp.out[1]@2.."),
            ("mlp.out[1]@-1", "mlp.out[1]@-3..-1"),
        ] {
            let (x, y) = (a.replace('A', left), b.replace('A', right));
            prop_assert_eq!(made(&format!("{x};{y}")).unwrap(), made(&format!("{y};{x}")).unwrap(), "{} {}", x, y);
        }
    }

    #[test]
    fn edits_of_values_commute_with_edits_that_move_blocks(value in value_edit(), moving in edit(LAYERS), relabelled in relabelling(LAYERS)) {
        for moving in [moving.text, relabelled.text] {
            let (left, right) = (made(&format!("{value};{moving}")), made(&format!("{moving};{value}")));
            prop_assert_eq!(left.ok(), right.ok(), "{} and {}", value, moving);
        }
    }

    #[test]
    fn scales_of_one_and_zero_and_nothing_added_are_what_they_say(at in address()) {
        let id = made("id").unwrap();
        prop_assert_eq!(made(&format!("scale({at},1)")).unwrap(), id.clone());
        prop_assert_eq!(made(&format!("add({at},v,0)")).unwrap(), id);
        prop_assert_eq!(made(&format!("scale({at},0)")).unwrap(), made(&format!("zero({at})")).unwrap());
    }

    #[test]
    fn units_one_by_one_are_units_together(verb in replacing(), block in 0..LAYERS) {
        let on = |at: String| verb.replace('A', &at);
        let one_by_one: Vec<String> = [2, 0, 3, 1].map(|head| on(format!("attn.q[{block},{head}]"))).to_vec();
        prop_assert_eq!(made(&one_by_one.join(";")).unwrap(), made(&on(format!("attn.q[{block}]"))).unwrap());
    }
}
