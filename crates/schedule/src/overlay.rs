//! What acts on the activations of a schedule's blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use crate::index::{Item, Set, Span};
use crate::schedule::Step;
use crate::values::{Replacement, Selection, Source, TensorName};
use crate::{ScheduleError, Site};

/// Positions of a sequence, in a form that depends on nothing but which they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Positions(Vec<PositionRange>);

/// Positions from one on, up to another or to the end; negative numbers count from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PositionRange {
    start: i64,
    end: Option<i64>,
}

impl PositionRange {
    const ALL: Self = Self {
        start: 0,
        end: None,
    };

    /// Whether every position of `self` is one of `other`, whatever the length.
    fn is_within(&self, other: &Self) -> bool {
        let starts = other == &Self::ALL
            || ((self.start < 0) == (other.start < 0) && other.start <= self.start);
        let ends = match (self.end, other.end) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => (own < 0) == (other < 0) && own <= other,
        };
        starts && ends
    }

    /// Whether `self` ends before `other` starts, whatever the length.
    fn is_before(&self, other: &Self) -> bool {
        self.end
            .is_some_and(|end| (end < 0) == (other.start < 0) && end <= other.start)
    }
}

impl Positions {
    fn of(set: Option<&Set<i64>>) -> Self {
        let Some(set) = set else {
            return Self(vec![PositionRange::ALL]);
        };
        let range = |item: &Item<i64>| match *item {
            Item::Block(-1) => PositionRange {
                start: -1,
                end: None,
            },
            Item::Block(at) => PositionRange {
                start: at,
                end: Some(at + 1),
            },
            Item::From(start) => PositionRange { start, end: None },
            Item::Span(Span { start, end }) => PositionRange {
                start,
                end: Some(end),
            },
        };
        let mut ranges: Vec<PositionRange> = set.0.iter().map(range).collect();
        ranges.sort();
        let mut merged: Vec<PositionRange> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.is_within(last) => {}
                Some(last)
                    if (last.start < 0) == (range.start < 0)
                        && last.end.is_none_or(|end| {
                            (end < 0) == (range.start < 0) && range.start <= end
                        })
                        && range.end.is_none_or(|end| (end < 0) == (range.start < 0)) =>
                {
                    last.end = match (last.end, range.end) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// Whether they are all positions.
    pub fn are_all(&self) -> bool {
        self.0.contains(&PositionRange::ALL)
    }

    /// Whether some are counted from the end of the sequence.
    pub fn count_from_end(&self) -> bool {
        let negative = |at: i64| at < 0;
        let mut ranges = self.0.iter();
        ranges.any(|range| negative(range.start) || range.end.is_some_and(negative))
    }

    /// The rows of a sequence of `len` positions, ascending and apart.
    ///
    /// # Errors
    /// What is out of range or empty in a sequence of that length, with the text of an edit.
    pub(crate) fn rows(
        &self,
        len: usize,
        edit: &dyn Fn() -> String,
    ) -> Result<Vec<Range<usize>>, ScheduleError> {
        let at = |position: i64, limit: usize| {
            let found = match position < 0 {
                true => len as i64 + position,
                false => position,
            };
            usize::try_from(found)
                .ok()
                .filter(|found| *found < limit)
                .ok_or_else(|| ScheduleError::PositionOutOfRange {
                    edit: edit(),
                    index: position.into(),
                    positions: Some(len),
                })
        };
        let mut rows: Vec<Range<usize>> = Vec::new();
        for PositionRange { start, end } in &self.0 {
            let first = at(*start, len.max(usize::from(*start == 0)))?;
            let last = end.map_or(Ok(len), |end| at(end, len + 1))?;
            if first >= last {
                return Err(ScheduleError::EmptyPositions {
                    edit: edit(),
                    start: *start,
                    end: end.unwrap_or(len as i64),
                });
            }
            rows.push(first..last);
        }
        rows.sort_by_key(|range| range.start);
        let mut apart: Vec<Range<usize>> = Vec::new();
        for range in rows {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        Ok(apart)
    }

    /// The rows of a part of a sequence, the positions `part`, as far as they are counted from its start.
    pub fn within(&self, part: Range<usize>, len: usize) -> Vec<Range<usize>> {
        let all = self.rows(len, &String::new).unwrap_or_default();
        let cut = all
            .into_iter()
            .map(|rows| rows.start.max(part.start)..rows.end.min(part.end));
        cut.filter(|rows| !rows.is_empty()).collect()
    }

    fn are_within(&self, other: &Self) -> bool {
        let is_within = |own: &PositionRange| other.0.iter().any(|range| own.is_within(range));
        self.0.iter().all(is_within)
    }

    fn are_apart_from(&self, other: &Self) -> bool {
        let apart = |a: &PositionRange, b: &PositionRange| a.is_before(b) || b.is_before(a);
        self.0.iter().all(|a| other.0.iter().all(|b| apart(a, b)))
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: &PositionRange| match (range.start, range.end) {
            (-1, None) => "-1".to_owned(),
            (start, None) => format!("{start}.."),
            (start, Some(end)) if end == start + 1 => start.to_string(),
            (start, Some(end)) => format!("{start}..{end}"),
        };
        write_ranges(f, self.0.iter().map(range).collect())
    }
}

/// Units of a site: ascending ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitRanges(Vec<Range1>);

/// A half-open range that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Range1 {
    start: usize,
    end: usize,
}

impl UnitRanges {
    fn of(set: Option<&Set>, count: usize) -> Self {
        let Some(set) = set else {
            return Self(vec![Range1 {
                start: 0,
                end: count,
            }]);
        };
        let ranges = set.0.iter().map(|item| match *item {
            Item::Block(at) => Range1 {
                start: at,
                end: at + 1,
            },
            Item::From(start) => Range1 { start, end: count },
            Item::Span(Span { start, end }) => Range1 { start, end },
        });
        Self(joined(ranges.collect()))
    }

    /// The ranges.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().map(|range| range.start..range.end)
    }

    /// Whether they are all of so many units.
    pub fn are_all(&self, count: usize) -> bool {
        self.0
            == [Range1 {
                start: 0,
                end: count,
            }]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether a unit is among them.
    pub fn contains(&self, unit: usize) -> bool {
        self.ranges().any(|range| range.contains(&unit))
    }

    /// Those that are in `other` as well, and those that are not.
    fn split(&self, other: &Self) -> (Self, Self) {
        let (mut both, mut own) = (Vec::new(), Vec::new());
        for range in &self.0 {
            let mut at = range.start;
            for cut in &other.0 {
                let (start, end) = (cut.start.max(at), cut.end.min(range.end));
                if start < end {
                    if at < start {
                        own.push(Range1 {
                            start: at,
                            end: start,
                        });
                    }
                    both.push(Range1 { start, end });
                    at = end;
                }
            }
            if at < range.end {
                own.push(Range1 {
                    start: at,
                    end: range.end,
                });
            }
        }
        (Self(both), Self(own))
    }
}

impl fmt::Display for UnitRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: Range<usize>| match range.len() {
            1 => range.start.to_string(),
            _ => format!("{}..{}", range.start, range.end),
        };
        write_ranges(f, self.ranges().map(range).collect())
    }
}

fn joined(mut ranges: Vec<Range1>) -> Vec<Range1> {
    ranges.sort();
    let mut apart: Vec<Range1> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

fn write_ranges(f: &mut fmt::Formatter<'_>, ranges: Vec<String>) -> fmt::Result {
    match ranges.as_slice() {
        [one] => f.write_str(one),
        several => write!(f, "[{}]", several.join(",")),
    }
}

/// What one edit does to some units of a site: at some positions, a replacement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Change {
    /// The positions.
    pub positions: Positions,
    /// What takes the place of the values.
    pub replacement: Replacement,
}

/// Units of a site that all change in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Changed {
    /// The units.
    pub units: UnitRanges,
    /// What happens to them, one after another.
    pub changes: Vec<Change>,
}

/// Keys that the queries of a block do not attend to; the weights of the others are renormalised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mask {
    /// All but the query's own position and the `width` − 1 before it, and, unless it is strict, position 0.
    Window {
        /// Positions that a query sees, its own included.
        width: usize,
        /// Whether position 0 is hidden as well.
        strict: bool,
    },
    /// Some keys, for some queries of some heads.
    Cut {
        /// The query heads.
        heads: UnitRanges,
        /// The queries.
        queries: Positions,
        /// The keys that they do not see.
        keys: Positions,
    },
}

/// What acts on activations while the blocks of a schedule run: replacements of values, and keys that are hidden.
///
/// It belongs to *source blocks*: wherever a block runs, and each time it runs, it acts; where the block does not run, it
/// does nothing.
/// Edits that say the same of every unit in the same order give equal overlays; so do edits on units or positions that are
/// apart, in whatever order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Overlay {
    /// By block (`None` for `embed`) and site; units of a site are in one entry at most, and no list of changes is empty.
    sites: BTreeMap<(Option<usize>, Site), Vec<Changed>>,
    masks: BTreeMap<usize, BTreeSet<Mask>>,
}

impl Overlay {
    /// Whether nothing acts.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.masks.is_empty()
    }

    /// What is changed at a site of a block (`None` for `embed`).
    pub fn changed(&self, block: Option<usize>, site: Site) -> &[Changed] {
        match self.sites.is_empty() {
            true => &[],
            false => self.sites.get(&(block, site)).map_or(&[], Vec::as_slice),
        }
    }

    /// Every site that is changed, with its block (`None` for `embed`).
    pub fn sites(&self) -> impl Iterator<Item = (Option<usize>, Site, &[Changed])> {
        let sites = self.sites.iter();
        sites.map(|((block, site), changed)| (*block, *site, changed.as_slice()))
    }

    /// The keys that the queries of a block do not see.
    pub fn masks(&self, block: usize) -> impl Iterator<Item = &Mask> {
        self.masks.get(&block).into_iter().flatten()
    }

    /// The blocks and sites whose values are taken from a source.
    pub fn taken_from(&self, source: Source) -> impl Iterator<Item = (Option<usize>, Site)> + '_ {
        let takes = move |changed: &Changed| {
            let mut changes = changed.changes.iter();
            changes.any(|change| change.replacement.source() == Some(source))
        };
        self.sites
            .iter()
            .filter(move |(_, changed)| changed.iter().any(takes))
            .map(|(place, _)| *place)
    }

    /// The tensors that are put in or added, with the places where they are.
    pub fn tensors(&self) -> impl Iterator<Item = (&TensorName, Option<usize>, Site, &UnitRanges)> {
        self.sites().flat_map(|(block, site, changed)| {
            changed.iter().flat_map(move |own| {
                let names = own.changes.iter().filter_map(|c| c.replacement.tensor());
                names.map(move |name| (name, block, site, &own.units))
            })
        })
    }

    /// Whether some positions are counted from the end of the sequence.
    pub fn counts_from_end(&self) -> bool {
        let mut changes = self.sites().flat_map(|(_, _, changed)| changed);
        let mut masks = self.masks.values().flatten();
        changes.any(|own| own.changes.iter().any(|c| c.positions.count_from_end()))
            || masks.any(|mask| match mask {
                Mask::Cut { queries, keys, .. } => {
                    queries.count_from_end() || keys.count_from_end()
                }
                Mask::Window { .. } => false,
            })
    }

    /// Checks that a sequence of `len` positions has all that are named, and that every query sees a key.
    ///
    /// # Errors
    /// [`ScheduleError::PositionOutOfRange`], [`ScheduleError::EmptyPositions`] and [`ScheduleError::NoKeyLeft`].
    pub fn check_positions(&self, len: usize) -> Result<(), ScheduleError> {
        for (block, site, changed) in self.sites() {
            for own in changed {
                for change in &own.changes {
                    let edit = || text_of(block, site, &own.units, change);
                    change.positions.rows(len, &edit)?;
                }
            }
        }
        for (&block, masks) in &self.masks {
            let cuts: Vec<_> = masks
                .iter()
                .filter_map(|mask| match mask {
                    Mask::Cut {
                        heads,
                        queries,
                        keys,
                    } => Some((mask, heads, queries, keys)),
                    Mask::Window { .. } => None,
                })
                .map(|(mask, heads, queries, keys)| {
                    let edit = || text_of_mask(block, mask);
                    Ok((
                        mask,
                        heads,
                        queries.rows(len, &edit)?,
                        keys.rows(len, &edit)?,
                    ))
                })
                .collect::<Result<_, ScheduleError>>()?;
            for (mask, heads, queries, _) in &cuts {
                for head in heads.ranges().flatten() {
                    let own: Vec<_> = cuts.iter().filter(|cut| cut.1.contains(head)).collect();
                    for query in queries.iter().cloned().flatten() {
                        let seen = |key: usize| {
                            !hidden_by_windows(masks, query, key)
                                && !own.iter().any(|(_, _, queries, keys)| {
                                    queries.iter().any(|range| range.contains(&query))
                                        && keys.iter().any(|range| range.contains(&key))
                                })
                        };
                        // A query that sees itself is the common case.
                        if !(0..=query).rev().any(seen) {
                            return Err(ScheduleError::NoKeyLeft {
                                edit: text_of_mask(block, mask),
                                head,
                                query,
                                positions: len,
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What of it concerns the blocks of a step.
    pub(crate) fn of_step(&self, step: &Step) -> Self {
        let mut own = Self::default();
        if !self.is_empty() {
            let mut blocks = BTreeSet::new();
            collect_blocks(step, &mut blocks);
            for block in blocks {
                let sites = self.sites.range((Some(block), Site::Embed)..);
                let sites = sites.take_while(|((at, _), _)| *at == Some(block));
                own.sites
                    .extend(sites.map(|(at, changed)| (*at, changed.clone())));
                if let Some(masks) = self.masks.get(&block) {
                    own.masks.insert(block, masks.clone());
                }
            }
        }
        own
    }

    /// What of it concerns the embedding.
    pub(crate) fn of_embed(&self) -> Self {
        let place = (None, Site::Embed);
        let own = self.sites.get(&place);
        Self {
            sites: own
                .map(|changed| (place, changed.clone()))
                .into_iter()
                .collect(),
            masks: BTreeMap::new(),
        }
    }

    /// Without what acts at a site of a block.
    pub(crate) fn forget(&mut self, block: usize, site: Site) {
        self.sites.remove(&(Some(block), site));
    }

    /// Adds an edit of values; `units` is the number of units of the site.
    pub(crate) fn change(
        &mut self,
        selection: &Selection,
        replacement: &Replacement,
        layers: usize,
        units: usize,
    ) {
        let Some(replacement) = replacement.clone().simplest() else {
            return;
        };
        let site = selection.site;
        let blocks: Vec<Option<usize>> = match (site.in_block(), &selection.blocks) {
            (false, _) => vec![None],
            (true, None) => (0..layers).map(Some).collect(),
            (true, Some(blocks)) => blocks.members(layers).map(Some).collect(),
        };
        let change = Change {
            positions: Positions::of(selection.positions.as_ref()),
            replacement,
        };
        let units = UnitRanges::of(selection.units.as_ref(), units);
        for block in blocks {
            let changed = self.sites.entry((block, site)).or_default();
            let mut rest = units.clone();
            let mut by_changes: BTreeMap<Vec<Change>, Vec<Range1>> = BTreeMap::new();
            for own in changed.drain(..) {
                let (both, only) = own.units.split(&units);
                (_, rest) = rest.split(&own.units);
                if !only.0.is_empty() {
                    by_changes
                        .entry(own.changes.clone())
                        .or_default()
                        .extend(only.0);
                }
                if !both.0.is_empty() {
                    let changes = with_change(own.changes, &change);
                    by_changes.entry(changes).or_default().extend(both.0);
                }
            }
            if !rest.0.is_empty() {
                let own = by_changes.entry(vec![change.clone()]).or_default();
                own.extend(rest.0);
            }
            changed.extend(by_changes.into_iter().map(|(changes, ranges)| Changed {
                units: UnitRanges(joined(ranges)),
                changes,
            }));
            changed.sort();
        }
    }

    /// Hides keys from the queries of some blocks.
    pub(crate) fn mask(&mut self, blocks: impl IntoIterator<Item = usize>, mask: &Mask) {
        for block in blocks {
            let masks = self.masks.entry(block).or_default();
            if let Mask::Window { width, strict } = *mask {
                // Of windows of one kind the narrowest counts.
                let kept: Vec<Mask> = masks
                    .iter()
                    .filter(
                        |other| matches!(other, Mask::Window { strict: own, .. } if *own == strict),
                    )
                    .cloned()
                    .collect();
                let narrower = |other: &Mask| matches!(other, Mask::Window { width: own, .. } if *own <= width);
                if kept.iter().any(narrower) {
                    continue;
                }
                for wider in &kept {
                    masks.remove(wider);
                }
            }
            masks.insert(mask.clone());
        }
    }

    /// A mask of keys; `heads` is the number of query heads.
    pub(crate) fn cut(
        heads: &Set,
        queries: &Set<i64>,
        keys: &Set<i64>,
        count_of_heads: usize,
    ) -> Mask {
        Mask::Cut {
            heads: UnitRanges::of(Some(heads), count_of_heads),
            queries: Positions::of(Some(queries)),
            keys: Positions::of(Some(keys)),
        }
    }
}

impl Mask {
    /// Whether a query of a head does not see a key, in a sequence of `len` positions.
    ///
    /// Positions that the sequence lacks hide nothing.
    pub fn hides(&self, head: usize, query: usize, key: usize, len: usize) -> bool {
        match self {
            Self::Window { width, strict } => key + width <= query && (*strict || key > 0),
            Self::Cut {
                heads,
                queries,
                keys,
            } => {
                let among = |positions: &Positions, at| {
                    positions
                        .within(0..len, len)
                        .iter()
                        .any(|rows| rows.contains(&at))
                };
                heads.contains(head) && among(queries, query) && among(keys, key)
            }
        }
    }
}

fn hidden_by_windows(masks: &BTreeSet<Mask>, query: usize, key: usize) -> bool {
    let mut windows = masks
        .iter()
        .filter(|mask| matches!(mask, Mask::Window { .. }));
    windows.any(|mask| mask.hides(0, query, key, query + 1))
}

/// The changes and one more, without those that it covers, in an order that does not tell in which order changes of
/// positions that are apart were made.
fn with_change(mut changes: Vec<Change>, change: &Change) -> Vec<Change> {
    if change.replacement.replaces() {
        changes.retain(|earlier| !earlier.positions.are_within(&change.positions));
    }
    changes.push(change.clone());
    // The least sequence that exchanging neighbours which are apart can give.
    let mut ordered = Vec::with_capacity(changes.len());
    while !changes.is_empty() {
        let free = |at: &usize| {
            let earlier = changes[..*at].iter();
            earlier
                .map(|other| &other.positions)
                .all(|positions| positions.are_apart_from(&changes[*at].positions))
        };
        let least = (0..changes.len())
            .filter(free)
            .min_by(|a, b| changes[*a].cmp(&changes[*b]))
            .expect("the first change waits for none");
        ordered.push(changes.remove(least));
    }
    ordered
}

fn collect_blocks(step: &Step, blocks: &mut BTreeSet<usize>) {
    match step {
        Step::Update(parts) => blocks.extend(parts.iter().map(crate::Part::block)),
        Step::Branches(branches) => {
            for step in branches.iter().flat_map(|branch| branch.steps()) {
                collect_blocks(step, blocks);
            }
        }
    }
}

/// Values that are written down, for the text of an edit.
struct Written<'a> {
    block: Option<usize>,
    site: Site,
    units: &'a UnitRanges,
    positions: &'a Positions,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.site)?;
        if let Some(block) = self.block {
            write!(f, "[{block},{}]", self.units)?;
        }
        match self.positions.are_all() {
            true => Ok(()),
            false => write!(f, "@{}", self.positions),
        }
    }
}

/// The edit that makes a change alone.
pub fn text_of(block: Option<usize>, site: Site, units: &UnitRanges, change: &Change) -> String {
    struct Edit<'a>(&'a Replacement, Written<'a>);
    impl fmt::Display for Edit<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write(f, &self.1)
        }
    }
    let written = Written {
        block,
        site,
        units,
        positions: &change.positions,
    };
    Edit(&change.replacement, written).to_string()
}

/// The edit that makes a mask alone.
pub fn text_of_mask(block: usize, mask: &Mask) -> String {
    match mask {
        Mask::Window {
            width,
            strict: false,
        } => format!("window({block},{width})"),
        Mask::Window {
            width,
            strict: true,
        } => format!("window({block},{width},strict)"),
        Mask::Cut {
            heads,
            queries,
            keys,
        } => format!("cut({block},{heads},{queries},{keys})"),
    }
}

/// Prints as a chain of edits, `id` if nothing acts.
impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.sites().flat_map(|(block, site, changed)| {
            changed.iter().flat_map(move |own| {
                let changes = own.changes.iter();
                changes.map(move |change| text_of(block, site, &own.units, change))
            })
        });
        let masks = self.masks.iter();
        let masks = masks.flat_map(|(block, masks)| masks.iter().map(|m| text_of_mask(*block, m)));
        let texts: Vec<String> = changes.chain(masks).collect();
        match texts.is_empty() {
            true => f.write_str("id"),
            false => f.write_str(&texts.join(";")),
        }
    }
}
