//! Where the content comes from: [`Files`], as a directory ([`DirFiles`]) or in memory ([`MemFiles`]).
//!
//! Paths arrive here decoded and checked by `target`: relative, without empty, `.`, `..` or hidden
//! segments. [`DirFiles`] still has the kernel confine them, because symbolic links are not in the path.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What tells one version of a file from another on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Length in bytes.
    pub len: u64,
    /// When it was last modified, in seconds since 1970.
    pub modified: i64,
    /// The nanoseconds that belong to `modified`.
    pub modified_nanos: i64,
    /// The file system's number for the file.
    pub inode: u64,
}

/// The bytes of an open file. They stay readable however the name of the file moves on.
pub trait Content: Send + Sync {
    /// Reads at `offset` into `buffer`; returns how many bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What is at a path.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(Meta, Arc<dyn Content>),
}

/// Why nothing can be served from a path.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing, or nothing that may be known: a link that leaves the root, a device.
    #[error("no such file")]
    NotFound,
    /// It is there, but this process may not read it.
    #[error("permission denied")]
    Forbidden,
    /// The system cannot look at the moment.
    #[error("cannot open: {0}")]
    Unavailable(#[source] io::Error),
}

/// A tree of files.
pub trait Files: Send {
    /// Opens what is at `path`, relative to the root and without a leading slash; "" is the root.
    ///
    /// # Errors
    /// [`OpenError`] says which answer it deserves.
    fn open(&self, path: &str) -> Result<Node, OpenError>;

    /// Whether the root can be read; asked about at every heartbeat, so it must be cheap.
    ///
    /// # Errors
    /// What the system says about the root.
    fn check(&self) -> io::Result<()>;
}

/// The files below a directory.
///
/// The root is looked up anew for every request, so that a deployment may swap a link under that name.
/// Below it the kernel refuses every path that leaves it (`openat2` with `RESOLVE_BENEATH`, Linux 5.6), also
/// through symbolic links and also while somebody moves directories about. A relative link within the root
/// works; an absolute link is refused wherever it points.
#[derive(Clone, Debug)]
pub struct DirFiles {
    root: PathBuf,
}

impl DirFiles {
    /// The files below `root`, which need not exist yet: see [`Files::check`].
    pub fn new(root: impl AsRef<Path>) -> Self {
        DirFiles { root: root.as_ref().to_path_buf() }
    }

    fn open_beneath(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &self.root, directory, Mode::empty())?;
        let path = if path.is_empty() { "." } else { path };
        let confined = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), confined)
    }
}

impl Files for DirFiles {
    fn open(&self, path: &str) -> Result<Node, OpenError> {
        // NONBLOCK: opening a pipe would wait for its other end, and with it the whole node.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.open_beneath(path, flags).map_err(refusal)?);
        let meta = file.metadata().map_err(OpenError::Unavailable)?;
        if meta.is_dir() {
            return Ok(Node::Directory);
        }
        if !meta.is_file() {
            return Err(OpenError::NotFound);
        }
        let meta = Meta {
            len: meta.len(),
            modified: meta.mtime(),
            modified_nanos: meta.mtime_nsec(),
            inode: meta.ino(),
        };
        Ok(Node::File(meta, Arc::new(file)))
    }

    fn check(&self) -> io::Result<()> {
        self.open_beneath("", OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(())
    }
}

fn refusal(errno: Errno) -> OpenError {
    match errno {
        // XDEV: the path leaves the root. LOOP: too many links. NXIO: a socket, or a pipe without a writer.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::XDEV
        | Errno::LOOP
        | Errno::NAMETOOLONG
        | Errno::NXIO => OpenError::NotFound,
        Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
        other => OpenError::Unavailable(other.into()),
    }
}

impl Content for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

/// Files in memory, for tests and demonstrations.
#[derive(Clone, Default)]
pub struct MemFiles {
    files: BTreeMap<String, (i64, Arc<Vec<u8>>)>,
}

impl MemFiles {
    /// An empty tree.
    pub fn new() -> Self {
        MemFiles::default()
    }

    /// Adds a file, modified `modified` seconds after 1970; its directories come into being with it.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>, modified: i64) -> Self {
        self.files.insert(path.to_owned(), (modified, Arc::new(content.into())));
        self
    }
}

impl Files for MemFiles {
    fn open(&self, path: &str) -> Result<Node, OpenError> {
        if let Some((modified, content)) = self.files.get(path) {
            let meta = Meta {
                len: content.len() as u64,
                modified: *modified,
                modified_nanos: 0,
                inode: 0,
            };
            return Ok(Node::File(meta, content.clone()));
        }
        let below = format!("{path}/");
        let directory = path.is_empty() || self.files.keys().any(|file| file.starts_with(&below));
        if directory { Ok(Node::Directory) } else { Err(OpenError::NotFound) }
    }

    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Content for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = from.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
