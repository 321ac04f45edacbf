//! Finds the known names that a misspelt name may have meant.

use strsim::normalized_damerau_levenshtein;

/// A name is left out if its similarity is below the best one's by more than this.
const SLACK: f64 = 0.15;

/// The known names most similar to `written`, in their given order; several if they are about equally similar.
///
/// Similarity is 1 − d/n, where d counts the letters that must be inserted, removed, replaced or exchanged with a neighbour
/// (Damerau–Levenshtein) and n is the length of the longer name. Upper and lower case count as equal.
///
/// ```
/// use layerwise_schedule::nearest_names;
///
/// assert_eq!(nearest_names("Dorp", ["drop", "loop", "swap"]), ["drop"]);
/// assert_eq!(nearest_names("pattern", ["attn.q", "attn.pattern"]), ["attn.pattern"]);
/// ```
pub fn nearest_names<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let written = written.to_lowercase();
    let likeness = |name| (normalized_damerau_levenshtein(&written, name), name);
    let likenesses: Vec<(f64, &str)> = known.into_iter().map(likeness).collect();
    let most = likenesses
        .iter()
        .fold(0.0, |most: f64, (own, _)| most.max(*own));
    let near = likenesses
        .into_iter()
        .filter(|(own, _)| *own >= most - SLACK);
    near.map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_recognised() {
        let sites = [
            "resid.pre",
            "resid.post",
            "attn.q",
            "attn.pattern",
            "attn.head_out",
            "attn.out",
        ];
        let check = |written: &str, expected: &[&str]| {
            assert_eq!(nearest_names(written, sites), expected, "{written}");
        };
        check("resid.pst", &["resid.pre", "resid.post"]);
        check("hook_resid_pre", &["resid.pre"]);
        check("ATTN.Q", &["attn.q"]);
        check("attn.heads", &["attn.head_out"]);
        check("attn.uot", &["attn.out"]);
        check("attn.scores", &["attn.q", "attn.pattern", "attn.out"]);
        check("字", &sites);
        assert!(nearest_names("drop", []).is_empty());
    }
}
