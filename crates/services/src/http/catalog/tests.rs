use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// One file under any name, which counts how often it is read.
#[derive(Clone)]
struct Counted {
    meta: Meta,
    byte: u8,
    reads: Arc<AtomicUsize>,
}

impl Counted {
    fn new(len: u64) -> Self {
        let meta = Meta { len, modified: 10, modified_nanos: 1, inode: 1 };
        Counted { meta, byte: 0, reads: Arc::default() }
    }

    fn tag(&self) -> String {
        let mut catalog = Catalog::new(Box::new(self.clone()));
        open(&mut catalog, "file").tag
    }
}

impl Files for Counted {
    fn open(&self, _path: &str) -> Result<Node, OpenError> {
        Ok(Node::File(self.meta, Arc::new(self.clone())))
    }

    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Content for Counted {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let left = usize::try_from(self.meta.len.saturating_sub(offset)).unwrap();
        let count = left.min(buffer.len());
        buffer[..count].fill(self.byte);
        Ok(count)
    }
}

fn open(catalog: &mut Catalog, path: &str) -> OpenFile {
    match catalog.open(path) {
        Ok(Found::File(open)) => open,
        Ok(Found::Directory) | Err(_) => panic!("there is a file"),
    }
}

#[test]
fn the_tag_depends_on_the_content_alone() {
    let file = Counted::new(100);
    let copy = Counted {
        meta: Meta { modified: 99, modified_nanos: 9, inode: 9, ..file.meta },
        ..file.clone()
    };
    assert_eq!(file.tag(), copy.tag());
    assert_ne!(file.tag(), Counted { byte: 1, ..file.clone() }.tag());
    assert_ne!(file.tag(), Counted::new(101).tag());
}

#[test]
fn a_huge_file_is_sampled_and_its_time_counts_too() {
    let huge = Counted::new(1 << 40);
    let later = |modified, modified_nanos| Counted {
        meta: Meta { modified, modified_nanos, ..huge.meta },
        ..huge.clone()
    };
    let tag = huge.tag();
    assert_eq!(huge.reads.load(Ordering::Relaxed) as u64, SAMPLES * SAMPLE / (64 * 1024));
    assert_eq!(tag, later(10, 99).tag(), "nanoseconds do not survive a copy");
    assert_ne!(tag, later(11, 1).tag());
    assert_ne!(tag, Counted { byte: 1, ..huge.clone() }.tag());
}

#[test]
fn a_version_of_a_file_is_digested_once() {
    let file = Counted::new(100);
    let mut catalog = Catalog::new(Box::new(file.clone()));
    let first = open(&mut catalog, "file");
    let second = open(&mut catalog, "file");
    assert_eq!(file.reads.load(Ordering::Relaxed), 1);
    assert!(Arc::ptr_eq(&first.content, &second.content), "one descriptor serves both");
    drop((first, second));
    open(&mut catalog, "file");
    assert_eq!(file.reads.load(Ordering::Relaxed), 1, "the digest outlives the descriptor");
    catalog.files =
        Box::new(Counted { meta: Meta { modified_nanos: 2, ..file.meta }, ..file.clone() });
    open(&mut catalog, "file");
    assert_eq!(file.reads.load(Ordering::Relaxed), 2, "a new version is digested anew");
}

#[test]
fn the_table_is_bounded_and_forgets_the_least_recently_used() {
    let file = Counted::new(1);
    let mut catalog = Catalog::new(Box::new(file.clone()));
    for number in 0..REMEMBERED_MAX {
        open(&mut catalog, &number.to_string());
    }
    open(&mut catalog, "0");
    open(&mut catalog, "new");
    assert_eq!(catalog.remembered.len(), REMEMBERED_MAX);
    assert!(catalog.remembered.contains_key("0") && !catalog.remembered.contains_key("1"));
}

#[test]
fn a_file_that_shrinks_while_it_is_digested_is_unavailable() {
    let mut file = Counted::new(100);
    let content = file.clone();
    file.meta.len = 200;
    let error = entity_tag(&content, &file.meta, &mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
