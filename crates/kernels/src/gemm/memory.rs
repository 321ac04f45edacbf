//! Memory of packed matrices, on huge pages if the system has them to give.
//!
//! A product of few rows reads a matrix once, from end to end. With pages of 4 KiB much of that time goes into address
//! translation, above all in a virtual machine, and the hardware stops prefetching at each page's end.

#![allow(
    unsafe_code,
    reason = "memory is taken in one piece, aligned to huge pages, and handed out part by part; or it is somebody else's"
)]

use super::format::Format;
use super::panel::PanelRow;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;

/// One piece of memory for many packed matrices, so that they lie on huge pages behind each other, however small each is.
///
/// It is given back when the last matrix in it is dropped.
#[derive(Debug)]
pub struct Arena {
    region: Arc<Region>,
    used: usize,
}

impl Arena {
    /// Room for matrices of so many bytes in all, as [`Packed::bytes`](super::Packed::bytes) counts them. A matrix that finds
    /// no room is put elsewhere.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            region: Arc::new(Region::new(bytes)),
            used: 0,
        }
    }

    /// So many rows of zeros.
    pub(super) fn rows<T: Format>(&mut self, length: usize) -> Rows<T> {
        let bytes = length * size_of::<PanelRow<T>>();
        if bytes > self.region.layout.size() - self.used {
            return Self::with_capacity(bytes).rows(length);
        }
        let start = self.region.start.as_ptr().wrapping_add(self.used);
        self.used += bytes;
        let start = start.cast::<PanelRow<T>>();
        for row in 0..length {
            // SAFETY: the region has room for `length` rows from here on, nothing else has been given this part, and parts
            // are whole rows behind each other from an aligned start.
            unsafe { start.add(row).write(PanelRow([T::default(); _])) };
        }
        Rows {
            // SAFETY: it lies in an allocation, or is the dangling start of an empty region.
            start: unsafe { NonNull::new_unchecked(start) },
            length,
            memory: Memory::Region(Arc::clone(&self.region)),
        }
    }
}

/// Bytes that packed matrices are read from where they are, such as a file in memory.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What keeps rows where they are.
enum Memory {
    /// A part of a region that is the rows' own.
    Region(Arc<Region>),
    /// Bytes of somebody else, which are never written.
    Others { _held: Bytes },
}

/// An allocation.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, which only [`Rows`] read and write, each its own part.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Memory that has asked for huge pages before it is first written.
    fn new(bytes: usize) -> Self {
        /// Of the usual huge page. Smaller regions need no more than a row does.
        const HUGE: usize = 1 << 21;
        let align = match bytes {
            HUGE.. => HUGE,
            _ => align_of::<PanelRow<f32>>(),
        };
        let layout =
            Layout::from_size_align(bytes, align).expect("a matrix fits the address space");
        if bytes == 0 {
            let start = NonNull::<PanelRow<f32>>::dangling().cast();
            return Self { start, layout };
        }
        // SAFETY: the size is not 0.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        #[cfg(target_os = "linux")]
        advise_huge_pages(start, bytes);
        Self { start, layout }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: it was allocated with this layout, and no rows are left that point into it.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

/// Rows of panels: a part of a region that nothing else reads or writes, or bytes that nobody writes.
pub(super) struct Rows<T> {
    start: NonNull<PanelRow<T>>,
    length: usize,
    memory: Memory,
}

impl<T: Format> Rows<T> {
    /// Rows that lie in somebody else's bytes; `None` where the bytes are not these many rows, or not aligned as rows are. The bytes
    /// are borrowed from behind a handle that the rows hold, and any bits are numbers of a [`Format`].
    pub(super) fn of(bytes: &Bytes, range: Range<usize>, length: usize) -> Option<Self> {
        let own: &[u8] = (**bytes).as_ref().get(range)?;
        let start = NonNull::from(own).cast::<PanelRow<T>>();
        let is_whole = length.checked_mul(size_of::<PanelRow<T>>()) == Some(own.len());
        (is_whole && start.is_aligned()).then(|| Self {
            start,
            length,
            memory: Memory::Others {
                _held: Arc::clone(bytes),
            },
        })
    }

    /// The bytes as they lie in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: rows are arrays of numbers without padding, and these are as many bytes as the rows have.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), size_of_val(&**self)) }
    }
}

// SAFETY: it owns its part of the region, or shares bytes that are only read.
unsafe impl<T: Send> Send for Rows<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Rows<T> {}

impl<T> Deref for Rows<T> {
    type Target = [PanelRow<T>];

    fn deref(&self) -> &Self::Target {
        // SAFETY: the rows were written when the part was handed out, and the region lives as long as they do. Of somebody else's
        // bytes they are a part, as `Rows::of` checked.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

/// What lies in somebody else's bytes is copied first.
impl<T: Format> DerefMut for Rows<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        if let Memory::Others { .. } = self.memory {
            *self = self.clone();
        }
        // SAFETY: as above, and the part is this value's own.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

/// A copy in memory of its own.
impl<T: Format> Clone for Rows<T> {
    fn clone(&self) -> Self {
        let mut copy = Arena::with_capacity(size_of_val(&**self)).rows(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: PartialEq> PartialEq for Rows<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.memory {
            Memory::Region(region) => write!(formatter, "{} rows in {region:?}", self.length),
            Memory::Others { .. } => write!(formatter, "{} rows of somebody else", self.length),
        }
    }
}

/// Asks for transparent huge pages.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    /// Smaller matrices stay in the L2 cache while they are used.
    const LEAST_BYTES: usize = 1 << 18;
    if bytes < LEAST_BYTES {
        return;
    }
    // SAFETY: the advice changes neither contents nor access rights, of the region or of what else lies in its first and last
    // page. If the system refuses it, pages stay small, so the result does not matter.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE).unsigned_abs() as usize;
        let start = start.as_ptr().cast::<libc::c_void>();
        let before = start.addr() % page;
        let length = (bytes + before).next_multiple_of(page);
        libc::madvise(start.wrapping_byte_sub(before), length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(rows: &mut Rows<f32>, value: f32) {
        rows.iter_mut().for_each(|row| row.0.fill(value));
    }

    #[test]
    fn every_part_is_its_own_and_begins_with_zeros() {
        for capacity in [0, 100, 1 << 20, 5 << 20] {
            let mut arena = Arena::with_capacity(capacity);
            let mut parts: Vec<Rows<f32>> = [0, 1, 1000, 7, 1 << 14, 3]
                .map(|length| arena.rows(length))
                .into_iter()
                .collect();
            drop(arena);
            for (value, part) in parts.iter_mut().enumerate() {
                assert!(part.iter().all(|row| row.0 == [0.0; _]), "{capacity}");
                fill(part, value as f32);
            }
            let copies = parts.clone();
            fill(&mut parts[2], 9.0);
            for (value, part) in copies.iter().enumerate() {
                assert!(part.iter().all(|row| row.0 == [value as f32; _]));
                assert_eq!(*part == parts[value], value != 2);
            }
        }
    }

    /// Bytes that begin where rows may.
    struct Aligned(Rows<f32>);

    impl AsRef<[u8]> for Aligned {
        fn as_ref(&self) -> &[u8] {
            self.0.bytes()
        }
    }

    #[test]
    fn rows_of_others_are_read_where_they_are_and_copied_before_they_are_written() {
        const ROW: usize = size_of::<PanelRow<f32>>();
        let mut rows = Arena::with_capacity(0).rows(5);
        for (value, row) in rows.iter_mut().enumerate() {
            row.0.fill(value as f32);
        }
        let bytes: Bytes = Arc::new(Aligned(rows));
        let of = |range, length| Rows::<f32>::of(&bytes, range, length);
        let mut part = of(ROW..3 * ROW, 2).unwrap();
        assert_eq!(part.bytes().as_ptr(), (*bytes).as_ref()[ROW..].as_ptr());
        assert!(part[0].0 == [1.0; _] && part[1].0 == [2.0; _]);
        for (range, length) in [
            (ROW..3 * ROW, 3),
            (ROW..3 * ROW + 1, 2),
            (4..ROW + 4, 1),
            (ROW..6 * ROW, 5),
            (0..0, usize::MAX),
        ] {
            assert!(of(range.clone(), length).is_none(), "{range:?} {length}");
        }
        assert!(of(0..0, 0).unwrap().is_empty());
        fill(&mut part, 9.0);
        let again = of(ROW..3 * ROW, 2).unwrap();
        drop(bytes);
        assert!(part.iter().all(|row| row.0 == [9.0; _]) && again[1].0 == [2.0; _]);
    }
}
