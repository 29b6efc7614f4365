use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

/// A root with a sibling that must stay out of reach.
fn tree() -> (tempfile::TempDir, DirFiles) {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    fs::create_dir_all(root.join("dir")).unwrap();
    fs::write(root.join("dir/file.txt"), "inside").unwrap();
    fs::write(top.path().join("secret"), "outside").unwrap();
    let files = DirFiles::new(&root);
    (top, files)
}

fn read(files: &DirFiles, path: &str) -> Option<String> {
    match files.open(path) {
        Ok(Node::File(meta, content)) => {
            let mut bytes = vec![0; usize::try_from(meta.len).unwrap()];
            assert_eq!(content.read_at(0, &mut bytes).unwrap(), bytes.len());
            Some(String::from_utf8(bytes).unwrap())
        }
        Ok(Node::Directory) | Err(_) => None,
    }
}

#[test]
fn files_are_read_and_directories_recognised() {
    let (_top, files) = tree();
    assert_eq!(read(&files, "dir/file.txt").as_deref(), Some("inside"));
    for directory in ["", "dir"] {
        assert!(matches!(files.open(directory), Ok(Node::Directory)), "{directory:?}");
    }
    for missing in ["none", "dir/none", "dir/file.txt/none"] {
        assert!(matches!(files.open(missing), Err(OpenError::NotFound)), "{missing:?}");
    }
    let endless = "x".repeat(300);
    assert!(matches!(files.open(&endless), Err(OpenError::NotFound)));
}

#[test]
fn no_path_and_no_link_leads_out_of_the_root() {
    let (top, files) = tree();
    let root = top.path().join("root");
    symlink("../secret", root.join("relative")).unwrap();
    symlink(top.path().join("secret"), root.join("absolute")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    for path in ["../secret", "relative", "absolute", "up/secret", "loop", "magic", "/etc/passwd"] {
        assert!(matches!(files.open(path), Err(OpenError::NotFound)), "{path}");
    }
}

#[test]
fn links_within_the_root_work() {
    let (top, files) = tree();
    let root = top.path().join("root");
    symlink("file.txt", root.join("dir/link")).unwrap();
    symlink("dir", root.join("current")).unwrap();
    assert_eq!(read(&files, "dir/link").as_deref(), Some("inside"));
    assert_eq!(read(&files, "current/file.txt").as_deref(), Some("inside"));
}

#[test]
fn what_is_neither_file_nor_directory_does_not_exist_and_does_not_block() {
    let (top, files) = tree();
    let root = top.path().join("root");
    let _listener = UnixListener::bind(root.join("socket")).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mkfifoat(CWD, root.join("pipe"), mode).unwrap();
    for path in ["socket", "pipe"] {
        assert!(matches!(files.open(path), Err(OpenError::NotFound)), "{path}");
    }
}

#[test]
fn what_the_system_says_decides_the_refusal() {
    assert!(matches!(refusal(Errno::ACCESS), OpenError::Forbidden));
    for passing in [Errno::MFILE, Errno::IO, Errno::NOMEM] {
        assert!(matches!(refusal(passing), OpenError::Unavailable(_)), "{passing}");
    }
}

#[test]
fn the_root_is_looked_up_anew_each_time() {
    let (top, _) = tree();
    let link = top.path().join("current");
    symlink("root", &link).unwrap();
    let files = DirFiles::new(&link);
    assert!(files.check().is_ok());
    assert_eq!(read(&files, "dir/file.txt").as_deref(), Some("inside"));
    fs::remove_file(&link).unwrap();
    assert_eq!(files.check().unwrap_err().kind(), io::ErrorKind::NotFound);
    symlink("secret", &link).unwrap();
    assert_eq!(files.check().unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn files_in_memory_have_directories_too() {
    let files = MemFiles::new().with("a/b.txt", "text", 7);
    assert!(matches!(files.open("a"), Ok(Node::Directory)));
    assert!(matches!(files.open("a/b"), Err(OpenError::NotFound)));
    let Ok(Node::File(meta, content)) = files.open("a/b.txt") else { panic!("there is a file") };
    assert_eq!((meta.len, meta.modified), (4, 7));
    let mut buffer = [0; 8];
    assert_eq!(content.read_at(2, &mut buffer).unwrap(), 2);
    assert_eq!(content.read_at(9, &mut buffer).unwrap(), 0);
    assert_eq!(&buffer[..2], b"xt");
}
