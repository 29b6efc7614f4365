//! Feeling the death of another process at once.
//!
//! A pidfd tells of a death when all is over: after the memory has been torn down, some 10 ms per
//! 100 MB. But the kernel releases the robust locks of a dying thread *before* that. So the worker's
//! main thread holds a robust lock in shared memory all its life, and the warden waits for it.

use std::io;
use std::mem::MaybeUninit;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// What both processes see.
struct Shared {
    mutex: libc::pthread_mutex_t,
    /// The holder has begun to exit of its own accord.
    leaving: AtomicBool,
}

/// For the exit handler, which gets no argument: the flag of the lifeline that this process holds.
static LEAVING: AtomicPtr<AtomicBool> = AtomicPtr::new(ptr::null_mut());

extern "C" fn leave() {
    let flag = LEAVING.load(Ordering::Acquire);
    // SAFETY: null, or points into a mapping that is never unmapped; the flag is atomic.
    if let Some(leaving) = unsafe { flag.as_ref() } {
        leaving.store(true, Ordering::Release);
    }
}

/// How a lifeline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The holder was killed, or aborted: no exit handler has run.
    Violent,
    /// The holder is exiting by itself, or nothing can be said: wait for its exit code.
    Unclear,
}

/// A lock that one process holds and another waits for. Created before the fork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifeline(NonNull<Shared>);

// SAFETY: the mapping is process-wide and never unmapped, and all that is ever done to it from
// then on is to lock the mutex and to load and store the flag, which any thread may do.
unsafe impl Send for Lifeline {}

impl Lifeline {
    /// A lifeline that nobody holds yet. Its page of memory stays mapped for good.
    pub(crate) fn new() -> io::Result<Lifeline> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let page = unsafe {
            mmap_anonymous(ptr::null_mut(), size_of::<Shared>(), access, MapFlags::SHARED)?
        };
        let shared = NonNull::new(page.cast::<Shared>())
            .ok_or_else(|| io::Error::other("a mapping at address 0"))?;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised by the first call and destroyed after the last;
        // the page is writable, zeroed (a valid AtomicBool), aligned to a page, large enough, and
        // the mutex in it is initialised once, before anyone else knows of it.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes.as_mut_ptr()))?;
            let attributes = attributes.as_mut_ptr();
            check(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST))?;
            check(libc::pthread_mutex_init(&raw mut (*shared.as_ptr()).mutex, attributes))?;
            check(libc::pthread_mutexattr_destroy(attributes))?;
        }
        Ok(Lifeline(shared))
    }

    /// Takes hold, for the rest of the calling thread's life.
    pub(crate) fn hold(self) -> io::Result<()> {
        // SAFETY: `new` initialised the page, and it is never unmapped.
        let leaving = unsafe { &raw mut (*self.0.as_ptr()).leaving };
        LEAVING.store(leaving, Ordering::Release);
        // SAFETY: the handler is a function of this program, and does not unwind.
        check(unsafe { libc::atexit(leave) })?;
        // SAFETY: `new` initialised the mutex, and it is never moved, destroyed or unmapped.
        check(unsafe { libc::pthread_mutex_lock(&raw mut (*self.0.as_ptr()).mutex) })
    }

    /// Blocks until the thread that holds it is gone. To be called once it is held.
    pub(crate) fn wait(self) -> Cut {
        // SAFETY: as in `hold`.
        let result = unsafe { libc::pthread_mutex_lock(&raw mut (*self.0.as_ptr()).mutex) };
        // SAFETY: `new` initialised the page, and it is never unmapped; the flag is atomic.
        let leaving = unsafe { &(*self.0.as_ptr()).leaving };
        if result == libc::EOWNERDEAD && !leaving.load(Ordering::Acquire) {
            Cut::Violent
        } else {
            Cut::Unclear
        }
    }
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_ends_is_felt_and_one_that_leaves_is_told_apart() {
        // Threads stand in for processes: a robust lock is a matter of threads.
        let lifelines = [(), ()].map(|()| Lifeline::new().expect("a page of memory"));
        let [killed, left] = lifelines;
        let holder = std::thread::spawn(move || killed.hold().map_err(|error| error.kind()));
        assert_eq!(holder.join().expect("no panic"), Ok(()));
        assert_eq!(killed.wait(), Cut::Violent);

        let holder = std::thread::spawn(move || {
            let held = left.hold().map_err(|error| error.kind());
            leave();
            held
        });
        assert_eq!(holder.join().expect("no panic"), Ok(()));
        assert_eq!(left.wait(), Cut::Unclear);
    }
}
