//! Positions and units, as ranges in a canonical form.

use std::fmt;
use std::ops::Range;

use crate::error::ScheduleError;
use crate::index::{Item, Set, Span};

/// Positions of a sequence in a canonical form: the same positions have the same value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Positions(Vec<PositionRange>);

/// Positions from a first one up to another or to the end; negative numbers count from the end.
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

    /// Whether `self` lies within `other`, whatever the sequence's length.
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

    /// Whether `self` ends before `other` starts, whatever the sequence's length.
    fn is_before(&self, other: &Self) -> bool {
        self.end
            .is_some_and(|end| (end < 0) == (other.start < 0) && end <= other.start)
    }
}

impl Positions {
    pub(crate) fn of(set: Option<&Set<i64>>) -> Self {
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

    /// Whether these are all positions.
    pub fn are_all(&self) -> bool {
        self.0.contains(&PositionRange::ALL)
    }

    /// Whether some positions count from the end of the sequence.
    pub fn count_from_end(&self) -> bool {
        let negative = |at: i64| at < 0;
        let mut ranges = self.0.iter();
        ranges.any(|range| negative(range.start) || range.end.is_some_and(negative))
    }

    /// The rows of a sequence of `len` positions, ascending and without overlap.
    ///
    /// # Errors
    /// A position is out of range or a range is empty in a sequence of that length; the error holds the text of the edit.
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

    /// The rows of `part`, a part of a sequence, at these positions; only positions that count from the start matter.
    pub fn within(&self, part: Range<usize>, len: usize) -> Vec<Range<usize>> {
        let all = self.rows(len, &String::new).unwrap_or_default();
        let cut = all
            .into_iter()
            .map(|rows| rows.start.max(part.start)..rows.end.min(part.end));
        cut.filter(|rows| !rows.is_empty()).collect()
    }

    pub(crate) fn are_within(&self, other: &Self) -> bool {
        let is_within = |own: &PositionRange| other.0.iter().any(|range| own.is_within(range));
        self.0.iter().all(is_within)
    }

    pub(crate) fn are_apart_from(&self, other: &Self) -> bool {
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

/// Units of a site, as ascending ranges that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitRanges(pub(crate) Vec<Range1>);

/// A half-open range that is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Range1 {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl UnitRanges {
    pub(crate) fn of(set: Option<&Set>, count: usize) -> Self {
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

    /// Whether they are all of `count` units.
    pub fn are_all(&self, count: usize) -> bool {
        self.0
            == [Range1 {
                start: 0,
                end: count,
            }]
    }

    /// The number of units.
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether a unit is among them.
    pub fn contains(&self, unit: usize) -> bool {
        self.ranges().any(|range| range.contains(&unit))
    }

    /// Splits the units into those also in `other` and those not.
    pub(crate) fn split(&self, other: &Self) -> (Self, Self) {
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

pub(crate) fn joined(mut ranges: Vec<Range1>) -> Vec<Range1> {
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
