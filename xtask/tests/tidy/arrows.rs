//! Arrows between source files, from the paths that their code names.

use std::collections::{BTreeMap, BTreeSet};

/// One crate's modules: the code of each file by its module path, as `["core", "table"]`; the root's path is empty.
pub(crate) struct Modules {
    files: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    /// Paths in the code, from the crate's root.
    paths: BTreeSet<Vec<String>>,
    /// Names that the module re-exports, with their origin.
    exports: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// The modules of a crate from its files, relative to its `src`, each with its code.
    pub(crate) fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let modules = files.into_iter().map(|(file, code)| {
            let own = module_of(&file);
            let mut module = Module {
                file,
                paths: BTreeSet::new(),
                exports: BTreeMap::new(),
            };
            for (is_public, tree) in uses(&code) {
                for (path, name) in leaves(&tree) {
                    let Some(path) = from_root(&own, &path) else {
                        continue;
                    };
                    if is_public {
                        module.exports.insert(name, path);
                    } else {
                        module.paths.insert(path);
                    }
                }
            }
            for path in inline_paths(&code) {
                module.paths.extend(from_root(&own, &path));
            }
            (own, module)
        });
        Self {
            files: modules.collect(),
        }
    }

    /// The module whose file defines what a path names.
    fn definer(&self, path: &[String]) -> Option<&Vec<String>> {
        let mut path = path.to_vec();
        // A name can be re-exported more than once; beyond this count the re-exports form a circle.
        for _ in 0..8 {
            let depth = (0..=path.len())
                .rev()
                .find(|n| self.files.contains_key(&path[..*n]))?;
            let (module, rest) = path.split_at(depth);
            let (found, module) = self.files.get_key_value(module)?;
            match rest.first().and_then(|name| module.exports.get(name)) {
                Some(from) => path = from.iter().chain(&rest[1..]).cloned().collect(),
                None => return Some(found),
            }
        }
        None
    }

    /// The circles of files that are larger than a module with its children, each sorted; and circles among children.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let among_children = self.knots(|from, to| !to.starts_with(from));
        let is_family = |knot: &Vec<&Vec<String>>| {
            let is_parent = |of: &&Vec<String>| {
                let is_child = |module: &&Vec<String>| module.len() <= of.len() + 1;
                knot.iter()
                    .all(|module| module.starts_with(of) && is_child(module))
            };
            knot.iter().any(is_parent)
        };
        let all = self.knots(|from, to| from != to);
        let all = all.into_iter().filter(|knot| !is_family(knot));
        let file = |module: &Vec<String>| self.files[module].file.as_str();
        let circles: BTreeSet<Vec<&str>> = among_children
            .into_iter()
            .chain(all)
            .map(|knot| knot.into_iter().map(file).collect())
            .collect();
        circles.into_iter().collect()
    }

    /// Modules that reach each other along the arrows that count.
    fn knots(&self, counts: impl Fn(&[String], &[String]) -> bool) -> Vec<Vec<&Vec<String>>> {
        let arrows: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = self
            .files
            .iter()
            .map(|(own, module)| {
                let named = module.paths.iter().filter_map(|path| self.definer(path));
                (own, named.filter(|to| counts(own, to)).collect())
            })
            .collect();
        let reached = |from: &Vec<String>| {
            let mut reached: BTreeSet<&Vec<String>> = BTreeSet::new();
            let mut next: Vec<&Vec<String>> = arrows[from].iter().copied().collect();
            while let Some(module) = next.pop() {
                if reached.insert(module) {
                    next.extend(&arrows[module]);
                }
            }
            reached
        };
        let reached: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = self
            .files
            .keys()
            .map(|from| (from, reached(from)))
            .collect();
        let mut knots = BTreeSet::new();
        for (from, to) in &reached {
            let back = to
                .iter()
                .copied()
                .filter(|other| reached[*other].contains(from));
            let knot: Vec<&Vec<String>> = back.collect();
            if knot.len() > 1 {
                knots.insert(knot);
            }
        }
        knots.into_iter().collect()
    }
}

/// `["core", "table"]` for `core/table.rs`, `["core"]` for `core/mod.rs`, nothing for `lib.rs` and `main.rs`.
fn module_of(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file.split('/').map(str::to_owned).collect();
    let last = parts.pop().unwrap_or_default();
    match last.strip_suffix(".rs").unwrap_or(&last) {
        "lib" | "main" | "mod" => {}
        name => parts.push(name.to_owned()),
    }
    parts
}

/// The trees of `use` declarations, and whether each is public.
fn uses(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let start = rest[..at].rfind(['\n', ';', '{', '}']);
        let before = rest[start.map_or(0, |end| end + 1)..at].trim();
        rest = &rest[at + 4..];
        if !before.is_empty() && !before.starts_with("pub") {
            continue;
        }
        let Some(end) = rest.find(';') else { break };
        found.push((before.starts_with("pub"), rest[..end].to_owned()));
        rest = &rest[end..];
    }
    found
}

/// The paths of a tree, each with the name that it gives.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((prefix, inner)) = tree.split_once('{') {
        let prefix: Vec<String> = segments(prefix);
        let inner = inner.trim_end().trim_end_matches('}');
        let mut parts = vec![String::new()];
        let mut depth = 0;
        for c in inner.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        let parts = parts.iter().filter(|part| !part.trim().is_empty());
        return parts
            .flat_map(|part| leaves(part))
            .map(|(path, name)| {
                let path: Vec<String> = prefix.iter().cloned().chain(path).collect();
                let path = match path.split_last() {
                    Some((last, before)) if last == "self" => before.to_vec(),
                    _ => path,
                };
                (path, name)
            })
            .collect();
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let path = segments(path);
    let name = match alias.trim() {
        "" => path.last().cloned().unwrap_or_default(),
        alias => alias.to_owned(),
    };
    vec![(path, name)]
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Paths in expressions and types that begin at the crate or a module above.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            if code[..at].ends_with(|c: char| is_part(c)) {
                continue;
            }
            let end = code[at..]
                .find(|c| !is_part(c))
                .map_or(code.len(), |n| at + n);
            found.push(segments(&code[at..end]));
        }
    }
    found
}

/// A path from the crate's root; `None` for a path into another crate.
fn from_root(own: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut at = own.to_vec();
    let mut path = path.iter().peekable();
    match path.next()?.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => {
            at.pop()?;
        }
        // A module or re-export in the same file.
        name => at.push(name.to_owned()),
    }
    while path.next_if(|part| *part == "super").is_some() {
        at.pop()?;
    }
    at.extend(path.cloned());
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&[&str]]) {
        let files = files
            .iter()
            .map(|(file, code)| ((*file).to_owned(), (*code).to_owned()));
        assert_eq!(Modules::new(files).circles(), expected);
    }

    #[test]
    fn a_circle_is_found_wherever_a_path_is_named() {
        let lib = (
            "lib.rs",
            "mod a; mod b; pub use a::A; pub use b::{inner::B, C as D};",
        );
        check(&[lib, ("a.rs", "use crate::b::C;"), ("b.rs", "")], &[]);
        let circle: &[&[&str]] = &[&["a.rs", "b.rs"]];
        let b = ("b.rs", "use super::a;");
        check(&[lib, ("a.rs", "use crate::b::C;"), b], circle);
        check(
            &[lib, ("a.rs", "use crate::{std::X,\n b::{self, C}};"), b],
            circle,
        );
        check(&[lib, ("a.rs", "use crate::D;"), b], circle);
        check(&[lib, ("a.rs", "fn f() -> crate::b::C {}"), b], circle);
        check(
            &[lib, ("a.rs", "use crate::Unknown; use std::b::C;"), b],
            &[],
        );
    }

    #[test]
    fn a_module_and_those_inside_it_are_no_circle() {
        let module = ("a/mod.rs", "mod b; mod c; pub use b::B; use b::g;");
        check(
            &[
                module,
                ("a/b.rs", "use super::f;"),
                ("a/c.rs", "use super::f;"),
            ],
            &[],
        );
        check(
            &[
                module,
                ("a/b.rs", "use super::c::C;"),
                ("a/c.rs", "use super::B;"),
            ],
            &[&["a/b.rs", "a/c.rs"]],
        );
        check(
            &[
                module,
                ("a/b.rs", "use crate::d::D;"),
                ("d.rs", "use crate::a::B;"),
            ],
            &[&["a/b.rs", "d.rs"]],
        );
        check(
            &[
                module,
                ("a/b.rs", "use super::super::d::D;"),
                ("d.rs", "use crate::a::f;"),
            ],
            &[&["a/mod.rs", "a/b.rs", "d.rs"]],
        );
    }
}
