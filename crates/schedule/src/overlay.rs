//! The edits that act on the activations of a schedule's blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::error::ScheduleError;
use crate::index::Set;
use crate::ranges::{Positions, Range1, UnitRanges, joined};
use crate::site::Site;
use crate::step::{Part, Step};
use crate::values::{Replacement, Selection, Source, TensorName};

/// One edit of some units of a site: a replacement at some positions.
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
    /// The changes, in the order in which they apply.
    pub changes: Vec<Change>,
}

/// Hides keys from the queries of a block; the attention weights of the remaining keys are renormalised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mask {
    /// Hides all keys but the query's own, the `width` − 1 before it and, unless strict, position 0.
    Window {
        /// The number of positions that a query attends to, its own included.
        width: usize,
        /// Whether position 0 is hidden as well.
        strict: bool,
    },
    /// Hides some keys from some queries of some heads.
    Cut {
        /// The query heads.
        heads: UnitRanges,
        /// The queries.
        queries: Positions,
        /// The keys that they do not attend to.
        keys: Positions,
    },
}

/// The edits that act on activations while a schedule runs: replaced values and hidden keys.
///
/// An overlay belongs to *source blocks*: it acts wherever and each time a block runs, and does nothing where the block does not
/// run. Edits that do the same to every unit in the same order give equal overlays. So do edits of disjoint units or positions,
/// in any order.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Site, Source, Stack, Units};
///
/// let stack = Stack::new(2, Residual::Sequential).with_units(Units::new(4, 4, 32, 16));
/// let edit: Edit = "mean(mlp.out[1]);window(0,8)".parse()?;
/// let schedule = edit.apply(&Schedule::plain(stack)?)?;
/// let overlay = schedule.overlay();
/// assert_eq!(overlay.taken_from(Source::Mean).collect::<Vec<_>>(), [(Some(1), Site::MlpOut)]);
/// // In any head, the query at position 10 of 11 sees position 3 but not position 2.
/// let mask = overlay.masks(0).next().expect("the window");
/// assert!(mask.hides(0, 10, 2, 11) && !mask.hides(0, 10, 3, 11));
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Overlay {
    /// By block (`None` for `embed`) and site. A unit is in at most one entry of its site, and no list of changes is empty.
    sites: BTreeMap<(Option<usize>, Site), Vec<Changed>>,
    masks: BTreeMap<usize, BTreeSet<Mask>>,
}

impl Overlay {
    /// Whether the overlay changes nothing.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.masks.is_empty()
    }

    /// The changes at a site of a block (`None` for `embed`).
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

    /// Whether a site is changed in some block.
    pub fn changes(&self, site: Site) -> bool {
        self.sites.keys().any(|(_, changed)| *changed == site)
    }

    /// The masks that hide keys from the queries of a block.
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

    /// The named tensors that edits put in or add, with their blocks and sites.
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

    /// Checks that a sequence of `len` positions has every position named, and that every query attends to at least one key.
    /// `first_key` returns the first key that the model itself lets a query of a block attend to.
    ///
    /// # Errors
    /// [`ScheduleError::PositionOutOfRange`], [`ScheduleError::EmptyPositions`] and [`ScheduleError::NoKeyLeft`].
    pub fn check_positions(
        &self,
        len: usize,
        first_key: &dyn Fn(usize, usize) -> usize,
    ) -> Result<(), ScheduleError> {
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
                        // A query that attends to itself is the common case.
                        if !(first_key(block, query)..=query).rev().any(seen) {
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

    /// The part of the overlay that concerns the blocks of a step.
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

    /// The part of the overlay that concerns the embedding.
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

    /// Removes the changes at a site of a block.
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
                // Of two windows of the same kind only the narrower one matters.
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

    /// Adds a cut; `heads` is the number of query heads.
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
    /// Whether a key is hidden from a query of a head, in a sequence of `len` positions.
    ///
    /// Positions outside the sequence hide nothing.
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

/// Adds a change and removes those that it overwrites. Changes of disjoint positions are sorted, so that commuting edits give
/// equal overlays.
fn with_change(mut changes: Vec<Change>, change: &Change) -> Vec<Change> {
    if change.replacement.replaces() {
        changes.retain(|earlier| !earlier.positions.are_within(&change.positions));
    }
    changes.push(change.clone());
    // Neighbours with disjoint positions may be exchanged; take the least order that exchanges can reach.
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
        Step::Update(parts) => blocks.extend(parts.iter().map(Part::block)),
        Step::Branches(branches) => {
            for step in branches.iter().flat_map(|branch| branch.steps()) {
                collect_blocks(step, blocks);
            }
        }
    }
}

/// Values, written as in the text of an edit.
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

/// The text of the edit that makes this change alone.
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

/// The text of the edit that makes this mask alone.
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

/// Prints a chain of edits, or `id` if nothing acts.
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
