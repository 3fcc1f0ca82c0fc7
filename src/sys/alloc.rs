//! Memory that was just freed is what the next allocation gets.
//!
//! A broker handles jobs by the thousand in a turn, as many small values. glibc joins freed ones with their neighbours and splits
//! them again for the next: two fifths of a bulk submission's time. A thread that asks for it ([`cache`]) keeps the small blocks
//! it frees, by size, and takes them back without a look at their neighbours. All other threads, and every process that does
//! not ask (the IMP), have glibc's allocator unchanged.
//!
//! Blocks have glibc's own sizes, 16 n + 8 bytes, so that rounding up costs no memory, and every block of a class is as large as its
//! class, whoever made it.
#![allow(clippy::multiple_unsafe_ops_per_block)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

const CLASSES: usize = 64;
/// The largest block that is kept.
const SMALL: usize = 16 * (CLASSES - 1) + 8;
const ALIGN: usize = 16;

/// A freed block, in which the next of its class is noted.
struct Free {
    next: *mut Free,
}

struct Cache {
    free: UnsafeCell<[*mut Free; CLASSES]>,
    /// Bytes in `free`.
    held: Cell<usize>,
    max: Cell<usize>,
}

thread_local! {
    static CACHE: Cache = const {
        Cache { free: UnsafeCell::new([null_mut(); CLASSES]), held: Cell::new(0), max: Cell::new(0) }
    };
}

/// From now on this thread keeps up to `max` bytes of small blocks that it frees. They stay its own until the process ends.
pub fn cache(max: usize) {
    CACHE.with(|cache| cache.max.set(max));
}

/// glibc's allocator, with the cache in front of it for threads that have one.
#[derive(Debug)]
pub struct Allocator;

/// The class of a request, if such blocks are kept at all: class `c` holds blocks of `16 c + 8` bytes.
const fn class(layout: Layout) -> Option<usize> {
    if layout.size() > SMALL || layout.align() > ALIGN {
        return None;
    }
    // glibc's smallest block has 24 bytes.
    if layout.size() <= 24 { Some(1) } else { Some((layout.size() + 7) / 16) }
}

fn whole(class: usize) -> Layout {
    // SAFETY: 16 is a power of two, and the size is at most `SMALL`.
    unsafe { Layout::from_size_align_unchecked(16 * class + 8, ALIGN) }
}

impl Cache {
    fn take(&self, class: usize) -> Option<*mut u8> {
        // SAFETY: only this thread reaches its cache, and nothing called while the reference lives allocates.
        let head = unsafe { &mut (*self.free.get())[class] };
        let block = *head;
        if block.is_null() {
            return None;
        }
        // SAFETY: `put` wrote a `Free` there, and nobody has had the block since.
        *head = unsafe { (*block).next };
        self.held.set(self.held.get() - (16 * class + 8));
        Some(block.cast())
    }

    /// `false`: it is full.
    fn put(&self, class: usize, block: *mut u8) -> bool {
        let held = self.held.get() + 16 * class + 8;
        if held > self.max.get() {
            return false;
        }
        self.held.set(held);
        let block: *mut Free = block.cast();
        // SAFETY: as in `take`.
        let head = unsafe { &mut (*self.free.get())[class] };
        // SAFETY: the block was just freed; it is aligned to 16 and has at least 8 bytes.
        unsafe { block.write(Free { next: *head }) };
        *head = block;
        true
    }
}

// SAFETY: every block comes from `System`, with a size that depends on its class only (so any block of a class serves any request
// of it, and `whole` is its layout), or with the layout that was asked for; a block is either in use or in one list.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: the caller's promises are passed on.
            None => unsafe { System.alloc(layout) },
            Some(class) => CACHE
                .try_with(|cache| cache.take(class))
                .ok()
                .flatten()
                // SAFETY: `whole` is never of size 0.
                .unwrap_or_else(|| unsafe { System.alloc(whole(class)) }),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: the caller's promises are passed on.
            None => unsafe { System.dealloc(block, layout) },
            Some(class) if CACHE.try_with(|cache| cache.put(class, block)).unwrap_or(false) => {}
            // SAFETY: `alloc` made it with this layout.
            Some(class) => unsafe { System.dealloc(block, whole(class)) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            // SAFETY: the caller's promises are passed on; fresh pages need no clearing.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as `alloc`.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has at least this many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is valid with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(new)) {
            // SAFETY: the caller's promises are passed on.
            (None, None) => return unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if old == new => return block,
            _ => {}
        }
        // SAFETY: as `alloc`.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least as long as the shorter of the two, and they are different blocks.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: the caller's promises are passed on.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_request_fits_in_a_block_of_its_class() {
        for size in 0..=SMALL + 40 {
            for align in [1, 8, 16, 32] {
                let layout = Layout::from_size_align(size, align).unwrap();
                match class(layout) {
                    Some(class) => assert!(class < CLASSES && whole(class).size() >= size, "{size}"),
                    None => assert!(size > SMALL || align > ALIGN),
                }
            }
        }
    }

    #[test]
    fn a_block_comes_back_to_its_class_and_no_more_is_kept_than_allowed() {
        cache(100);
        let layout = Layout::from_size_align(30, 8).unwrap();
        // SAFETY: layouts are the same for each block; none is used after it is freed.
        unsafe {
            let (a, b, c) = (Allocator.alloc(layout), Allocator.alloc(layout), Allocator.alloc(layout));
            for block in [a, b, c] {
                Allocator.dealloc(block, layout);
            }
            CACHE.with(|cache| assert_eq!(cache.held.get(), 80));
            let other = Layout::from_size_align(40, 16).unwrap();
            assert_eq!(Allocator.alloc(other), b, "of the same class, the last first");
            let zeroed = Allocator.alloc_zeroed(layout);
            assert_eq!(zeroed, a);
            assert!(std::slice::from_raw_parts(zeroed, 30).iter().all(|byte| *byte == 0));
            zeroed.write_bytes(7, 30);
            assert_eq!(Allocator.realloc(zeroed, layout, 33), zeroed);
            let large = Allocator.realloc(zeroed, Layout::from_size_align(33, 8).unwrap(), 5000);
            assert_eq!(std::slice::from_raw_parts(large, 30), [7; 30]);
            let small = Allocator.realloc(large, Layout::from_size_align(5000, 8).unwrap(), 10);
            assert_eq!(std::slice::from_raw_parts(small, 10), [7; 10]);
            Allocator.dealloc(small, Layout::from_size_align(10, 8).unwrap());
            Allocator.dealloc(b, other);
        }
        cache(0);
    }
}
