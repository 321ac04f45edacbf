//! Families: their members, printing and the grammar of index expressions.

use layerwise_schedule::{
    DEFAULT_MAX_MEMBERS, Edit, EditFamily, Member, Residual, Schedule, Stack,
};
use proptest::prelude::*;

const RESIDUALS: [Residual; 2] = [Residual::Sequential, Residual::Parallel];

fn expand(text: &str, layers: usize, residual: Residual) -> Option<Vec<Member>> {
    let family: EditFamily = text.parse().unwrap();
    family
        .expand(Stack::new(layers, residual), DEFAULT_MAX_MEMBERS)
        .ok()
}

fn instances(text: &str, layers: usize) -> Vec<String> {
    let members = expand(text, layers, Residual::Sequential).unwrap();
    members
        .iter()
        .map(|member| member.edit.to_string())
        .collect()
}

#[test]
fn the_papers_families_have_their_members() {
    // Members at 12, 1 and 2 blocks; 0 where the family is refused.
    for (text, expected) in [
        ("drop(l)", [12, 0, 2]),
        ("swap(l,l+1)", [11, 0, 1]),
        ("repeat(l..l+5)", [8, 0, 0]),
        ("drop_attn(l..L)", [12, 1, 2]),
        // The early exits; at l = 0 no step would be left.
        ("drop(l..L)", [11, 0, 1]),
        ("swap(l,m)", [66, 0, 1]),
    ] {
        for residual in RESIDUALS {
            for (layers, members) in [12, 1, 2].into_iter().zip(expected) {
                let found = expand(text, layers, residual).map_or(0, |members| members.len());
                assert_eq!(found, members, "{text} on {layers} blocks, {residual:?}");
            }
        }
    }
}

#[test]
fn members_print_as_instances_in_order() {
    for (text, layers, expected) in [
        ("id", 3, vec!["id"]),
        ("drop( -1 )", 3, vec!["drop(2)"]),
        ("drop(l)", 3, vec!["drop(0)", "drop(1)", "drop(2)"]),
        ("drop(m)", 2, vec!["drop(0)", "drop(1)"]),
        (
            "drop_attn(l..L)",
            3,
            vec!["drop_attn(0..3)", "drop_attn(1..3)", "drop_attn(2..3)"],
        ),
        // A binding that leaves no step is left out, wherever in the chain the schedule becomes empty.
        ("drop(l..L)", 3, vec!["drop(1..3)", "drop(2..3)"]),
        (
            "drop(l..L);repeat(0)",
            3,
            vec!["drop(1..3);repeat(0)", "drop(2..3);repeat(0)"],
        ),
        (
            "drop_attn(0..L);drop_mlp(0..l+1)",
            3,
            vec![
                "drop_attn(0..3);drop_mlp(0..1)",
                "drop_attn(0..3);drop_mlp(0..2)",
            ],
        ),
        ("drop(0..m);keep(l)", 2, vec!["drop(0..1);keep(1)"]),
        ("repeat(l..l+2)", 3, vec!["repeat(0..2)", "repeat(1..3)"]),
        // A computed negative leaves the binding out; a literal one counts from the end.
        ("swap(l-1,l)", 3, vec!["swap(0,1)", "swap(1,2)"]),
        ("swap(l,-1)", 3, vec!["swap(0,2)", "swap(1,2)", "swap(2,2)"]),
        ("drop(-l+2)", 3, vec!["drop(2)", "drop(1)", "drop(0)"]),
        ("drop(2*(l+1)-1)", 4, vec!["drop(1)", "drop(3)"]),
        ("drop(L-1-l*2)", 4, vec!["drop(3)", "drop(1)"]),
        (
            "permute(l..l+2,[l+1,l])",
            3,
            vec!["permute(0..2,[1,0])", "permute(1..3,[2,1])"],
        ),
        (
            "drop_mlp(l);scale(l,0.5)",
            1,
            vec!["drop_mlp(0);scale(0,0.5)"],
        ),
        // With one variable equal schedules are kept, with two they are left out.
        ("scale(l,1)", 2, vec!["scale(0,1)", "scale(1,1)"]),
        (
            "scale([l,m],2)",
            2,
            vec!["scale([0,0],2)", "scale([0,1],2)", "scale([1,1],2)"],
        ),
        ("swap(l,m)", 3, vec!["swap(0,1)", "swap(0,2)", "swap(1,2)"]),
        (
            "drop(l..m)",
            3,
            vec!["drop(0..1)", "drop(0..2)", "drop(1..2)"],
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        let found = instances(text, layers);
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn members_carry_their_bindings() {
    let bindings = |text| -> Vec<(Option<usize>, Option<usize>)> {
        let members = expand(text, 3, Residual::Parallel).unwrap();
        members.iter().map(|member| (member.l, member.m)).collect()
    };
    assert_eq!(bindings("drop(1)"), [(None, None)]);
    assert_eq!(bindings("drop(m+1)"), [(None, Some(0)), (None, Some(1))]);
    assert_eq!(bindings("swap(l,l+1)"), [(Some(0), None), (Some(1), None)]);
    assert_eq!(
        bindings("swap(l,m)"),
        [(Some(0), Some(1)), (Some(0), Some(2)), (Some(1), Some(2))]
    );
}

#[test]
fn printing_drops_spaces_and_what_can_be_left_out() {
    for (text, printed) in [
        ("id", "id"),
        ("id ; id", "id"),
        ("id;drop(5);id", "drop(5)"),
        (" drop ( [ 5 ] ) ", "drop(5)"),
        ("drop([ 5 , 7,9 .. 12 ])", "drop([5,7,9..12])"),
        ("drop([4..8])", "drop(4..8)"),
        ("drop(007)", "drop(7)"),
        ("swap( l , l + 1 )", "swap(l,l+1)"),
        ("drop(-l+(2*L-m)*3)", "drop(-l+(2*L-m)*3)"),
        ("repeat(5,2)", "repeat(5)"),
        ("repeat(5,3)", "repeat(5,3)"),
        ("loop(1..3, 2)", "loop(1..3)"),
        ("loop(1..3, 4)", "loop(1..3,4)"),
        ("parallel(0..3)", "parallel(0..3)"),
        ("parallel(0..3, sum)", "parallel(0..3,sum)"),
        (
            "shuffle(0..12,18446744073709551615)",
            "shuffle(0..12,18446744073709551615)",
        ),
        ("permute(0..2, [1, 0])", "permute(0..2,[1,0])"),
        ("scale_attn(-1,+0.50)", "scale_attn(-1,0.5)"),
        ("scale(1,1e-3)", "scale(1,0.001)"),
        ("scale(1,-0)", "scale(1,0)"),
        ("drop_mlp(1)\n;\tkeep(0..L)", "drop_mlp(1);keep(0..L)"),
    ] {
        let found = text
            .parse::<EditFamily>()
            .map(|family| family.to_string())
            .unwrap_or_default();
        assert_eq!(found, printed, "{text}");
    }
}

/// The text of an index expression, with spaces here and there.
fn expression() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec!["l", "m", "L", "0", "1", "2", "11"]).prop_map(str::to_owned);
    let inner = leaf.prop_recursive(4, 16, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", " + ", " - ", "* "]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("{a}{o}{b}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    });
    (prop::sample::select(vec!["", "", "-", " - "]), inner)
        .prop_map(|(sign, e)| format!("{sign}{e}"))
}

fn family() -> impl Strategy<Value = String> {
    let set = prop_oneof![
        expression(),
        (expression(), expression()).prop_map(|(a, b)| format!("{a}..{b}")),
        (expression(), expression()).prop_map(|(a, b)| format!("[{a}, {b}]")),
    ];
    let one = prop_oneof![
        set.clone().prop_map(|s| format!("drop({s})")),
        set.prop_map(|s| format!("scale_mlp({s}, 0.1)")),
        (expression(), expression()).prop_map(|(a, b)| format!("swap({a},{b})")),
        (expression(), expression()).prop_map(|(a, b)| format!("loop({a}..{b}, 3)")),
        (expression(), expression()).prop_map(|(a, b)| format!("permute({a} .. {b},[{b},{a}])")),
    ];
    prop::collection::vec(one, 1..3).prop_map(|edits| edits.join(" ; "))
}

proptest! {
    #[test]
    fn printing_a_family_and_parsing_is_the_identity(text in family()) {
        let family: EditFamily = text.parse().unwrap();
        let printed = family.to_string();
        let without_spaces: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        prop_assert_eq!(&printed, &without_spaces);
        prop_assert_eq!(printed.parse::<EditFamily>().unwrap(), family);
    }

    #[test]
    fn members_are_what_their_edits_make(text in family(), layers in 1..5_usize) {
        let stack = Stack::new(layers, Residual::Sequential);
        let plain = Schedule::plain(stack).unwrap();
        let members = expand(&text, layers, stack.residual).unwrap_or_default();
        for member in &members {
            let edit: Edit = member.edit.to_string().parse().unwrap();
            prop_assert_eq!(&edit, &member.edit);
            prop_assert_eq!(&edit.apply(&plain).unwrap(), &member.schedule);
        }
        let two_variables = members.iter().all(|member| member.l.is_some() && member.m.is_some());
        for (i, member) in members.iter().enumerate().filter(|_| two_variables) {
            prop_assert!(member.schedule != plain);
            prop_assert!(members[..i].iter().all(|earlier| earlier.schedule != member.schedule));
        }
        let order: Vec<_> = members.iter().map(|member| (member.l, member.m)).collect();
        prop_assert!(order.is_sorted());
    }

    #[test]
    fn expressions_follow_the_usual_precedence(a in 0..4_i64, b in 0..4_i64, c in 0..4_i64) {
        for (text, value) in [
            (format!("{a}+{b}*{c}"), a + b * c),
            (format!("({a}+{b})*{c}"), (a + b) * c),
            (format!("{a}-{b}-{c}"), a - b - c),
            (format!("{a}-({b}-{c})"), a - (b - c)),
            (format!("-{a}*{b}+{c}"), c - a * b),
            (format!("L-{a}-{b}"), 20 - a - b),
        ] {
            let resolved = format!("drop({text})").parse::<Edit>().unwrap().resolve(Stack::new(20, Residual::Sequential));
            let expected = (0..20).contains(&value).then(|| format!("drop({value})"));
            prop_assert_eq!(resolved.ok().map(|edit| edit.to_string()), expected, "{}", text);
        }
    }
}
