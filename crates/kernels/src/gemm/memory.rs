//! Memory for packed matrices, on huge pages if the system provides them.
//!
//! A product of few rows reads a matrix once, from end to end. With pages of 4 KiB, address translation takes much of that time,
//! above all in a virtual machine, and the hardware prefetcher stops at the end of each page.

#![allow(
    unsafe_code,
    reason = "one allocation, aligned to huge pages, is handed out part by part; or rows borrow bytes that others own"
)]

use super::format::Format;
use super::panel::PanelRow;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::Arc;

/// One allocation for many packed matrices, so that they lie on huge pages one after another, however small each is.
///
/// It is freed when the last matrix in it is dropped.
#[derive(Debug)]
pub struct Arena {
    region: Arc<Region>,
    used: usize,
}

impl Arena {
    /// Room for matrices of `bytes` bytes in all, as [`Packed::bytes`](super::Packed::bytes) counts them. A matrix that does not
    /// fit gets an allocation of its own.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            region: Arc::new(Region::new(bytes)),
            used: 0,
        }
    }

    /// Makes the room of earlier matrices free again. If some of them are still in use, later ones get another allocation.
    pub fn restart(&mut self) {
        match Arc::get_mut(&mut self.region) {
            Some(_) => self.used = 0,
            None => *self = Self::with_capacity(self.region.layout.size()),
        }
    }

    /// Takes `length` rows of zeros.
    pub(super) fn rows<T: Format>(&mut self, length: usize) -> Rows<T> {
        let bytes = length * size_of::<PanelRow<T>>();
        if bytes > self.region.layout.size() - self.used {
            return Self::with_capacity(bytes).rows(length);
        }
        let start = self.region.start.as_ptr().wrapping_add(self.used);
        self.used += bytes;
        let start = start.cast::<PanelRow<T>>();
        for row in 0..length {
            // SAFETY: the region has room for `length` rows from here on, this part belongs to nobody else (it is given out once,
            // until `restart` finds that no rows hold the region), and parts are whole rows, one after another from an aligned
            // start.
            unsafe { start.add(row).write(PanelRow([T::default(); _])) };
        }
        Rows {
            // SAFETY: the address lies in an allocation, or is the dangling start of an empty region.
            start: unsafe { NonNull::new_unchecked(start) },
            length,
            memory: Memory::Region(Arc::clone(&self.region)),
        }
    }
}

/// Bytes from which packed matrices are read in place, such as a mapped file.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Keeps the memory of rows alive.
enum Memory {
    /// A part of a region that belongs to these rows alone.
    Region(Arc<Region>),
    /// Bytes that others own; they are never written.
    Others { _held: Bytes },
}

/// An allocation.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, and each [`Rows`] reads and writes a different part of it.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Allocates memory, and requests huge pages before it is first written.
    fn new(bytes: usize) -> Self {
        /// The usual size of a huge page. Smaller regions need only the alignment of a row.
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
            // SAFETY: the memory was allocated with this layout, and no rows that point into it are left.
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
    /// Rows in bytes that others own; `None` if the range does not hold exactly these rows, or is not aligned as rows must be.
    /// The rows hold the handle that owns the bytes, and every bit pattern is a number of a [`Format`].
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

    /// The bytes of the rows.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: rows are arrays of numbers without padding, and the slice is as long as the rows.
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
        // SAFETY: for a region, the rows were written when the part was handed out, and the region lives as long as they do. For
        // borrowed bytes, the rows are a part of them, as `Rows::of` checked.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

/// Borrowed bytes are copied first.
impl<T: Format> DerefMut for Rows<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        if let Memory::Others { .. } = self.memory {
            *self = self.clone();
        }
        // SAFETY: as above, and the part belongs to this value alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

/// A copy in a separate allocation.
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
            Memory::Others { .. } => write!(formatter, "{} borrowed rows", self.length),
        }
    }
}

/// Asks for transparent huge pages.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    /// Smaller matrices stay in the L2 cache during use.
    const LEAST_BYTES: usize = 1 << 18;
    if bytes < LEAST_BYTES {
        return;
    }
    // SAFETY: the advice changes neither contents nor access rights, neither of the region nor of other data on its first and
    // last page. If the system refuses it, pages stay small, so the result does not matter.
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

    #[test]
    fn room_is_used_again_once_nobody_holds_it() {
        let mut arena = Arena::with_capacity(1 << 16);
        let mut first = arena.rows(8);
        fill(&mut first, 1.0);
        let place = first.bytes().as_ptr();
        arena.restart();
        let mut second = arena.rows(8);
        assert_ne!(second.bytes().as_ptr(), place);
        fill(&mut second, 2.0);
        assert!(first.iter().all(|row| row.0 == [1.0; _]));
        let place = second.bytes().as_ptr();
        drop(second);
        arena.restart();
        let third: Rows<f32> = arena.rows(8);
        assert_eq!(third.bytes().as_ptr(), place);
        assert!(third.iter().all(|row| row.0 == [0.0; _]));
    }

    /// Bytes with the alignment of rows.
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
