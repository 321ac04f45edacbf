//! Memory of packed matrices, on huge pages if the system has them to give.
//!
//! A product of few rows reads a matrix once, from end to end. With pages of 4 KiB much of that time goes into address
//! translation, above all in a virtual machine, and the hardware stops prefetching at each page's end.

/// `length` times a value. The memory asks for huge pages before it is first written.
pub(super) fn filled<T: Copy>(value: T, length: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(length);
    #[cfg(target_os = "linux")]
    advise_huge_pages(values.spare_capacity_mut());
    values.resize(length, value);
    values
}

/// Asks for transparent huge pages.
///
/// The whole pages around the slice are advised, so that neighbouring matrices come to lie in one mapping and share huge pages.
#[cfg(target_os = "linux")]
fn advise_huge_pages<T>(memory: &mut [std::mem::MaybeUninit<T>]) {
    /// Smaller matrices stay in the L2 cache while they are used.
    const LEAST_BYTES: usize = 1 << 18;
    if size_of_val(memory) < LEAST_BYTES {
        return;
    }
    let addresses = memory.as_mut_ptr_range();
    #[allow(unsafe_code, reason = "advice about memory is a system call")]
    // SAFETY: the advice changes neither contents nor access rights, of the slice or of what else lies in its first and last
    // page. If the system refuses it, pages stay small, so the result does not matter.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE).unsigned_abs() as usize;
        let start = addresses.start.cast::<libc::c_void>();
        let before = start.addr() % page;
        let length = (addresses.end.addr() - start.addr() + before).next_multiple_of(page);
        libc::madvise(start.wrapping_byte_sub(before), length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_there_however_long_the_vector_is() {
        for length in [0, 1, 1000, 1 << 20, (5 << 20) / 8 + 3] {
            let values = filled(7_u64, length);
            assert_eq!(values.len(), length);
            assert!(values.iter().all(|value| *value == 7), "{length}");
        }
    }
}
