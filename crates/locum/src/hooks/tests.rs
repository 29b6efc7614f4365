use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use locum_types::{Cause, Mode, Term};
use rustix::fs::{CWD, Mode as FileMode, mkfifoat};
use tempfile::TempDir;

use super::*;

/// One of the programs of `tests/hooks`, by another name in a directory of its own: what it writes
/// is beside that name. (A program that a test writes itself can be busy when it is run.)
struct Hook {
    directory: TempDir,
    program: PathBuf,
}

impl Hook {
    fn new(name: &str) -> Hook {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hooks").join(name);
        symlink(source, &program).unwrap();
        Hook { directory, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mkfifoat(CWD, &path, FileMode::RUSR | FileMode::WUSR).unwrap();
        path
    }

    fn start(&self, timeout: Duration) -> Hooks {
        Hooks::start_with(Some(&self.program), subject(), timeout).unwrap()
    }
}

/// Long enough for any run that ends by itself.
const AMPLE: Duration = Duration::from_secs(60);

fn subject() -> Subject {
    Subject { group: GroupId::new(7).unwrap(), node: NodeId::new(2).unwrap() }
}

fn change(term: u64) -> ModeChange {
    let cause = Cause::Silence { peer: NodeId::new(1).unwrap() };
    let (from, to) = (Mode::Waiting, Mode::Active);
    ModeChange { from, to, cause, term: Term(term), detection: None }
}

/// Ends the hooks, waiting for all that was reported, and says what became of it.
fn finish(hooks: Hooks) -> HookCounters {
    let (shared, timeout) = (Arc::clone(&hooks.shared), hooks.timeout);
    drop(hooks);
    Hooks { queue: None, thread: None, timeout, shared }.counters()
}

#[test]
fn the_hook_sees_each_change_in_its_environment_and_in_order() {
    let hook = Hook::new("record");
    let hooks = hook.start(AMPLE);
    (1..=5).for_each(|term| hooks.notify(change(term)));
    let counters = finish(hooks);
    let seen = fs::read_to_string(hook.path("changes")).unwrap();
    let line = |term| format!("7/2 waiting active silence(node 1) {term}\n");
    assert_eq!(seen, (1..=5).map(line).collect::<String>());
    assert_eq!(counters, HookCounters { succeeded: 5, ..HookCounters::default() });
}

#[test]
fn a_failing_hook_is_counted_and_the_next_change_runs_it_again() {
    let hooks = Hook::new("fail").start(AMPLE);
    hooks.notify(change(1));
    hooks.notify(change(2));
    assert_eq!(finish(hooks), HookCounters { failed: 2, ..HookCounters::default() });
}

#[test]
fn a_hook_that_cannot_be_run_is_a_failure_and_no_panic() {
    let hooks = Hooks::start(Some(Path::new("/nowhere/at/all")), subject()).unwrap();
    hooks.notify(change(1));
    assert_eq!(finish(hooks), HookCounters { failed: 1, ..HookCounters::default() });
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children() {
    let hook = Hook::new("hang");
    let alive = hook.fifo("alive");
    let hooks = hook.start(Duration::from_millis(300));
    hooks.notify(change(1));
    // Opens when the child of the hook holds the other end, and reads its end as that closes.
    let mut rest = Vec::new();
    File::open(alive).unwrap().read_to_end(&mut rest).unwrap();
    assert_eq!(finish(hooks), HookCounters { timed_out: 1, ..HookCounters::default() });
}

#[test]
fn the_end_does_not_wait_for_one_hanging_hook_after_the_other() {
    let hook = Hook::new("hang");
    hook.fifo("alive");
    let hooks = hook.start(Duration::from_millis(100));
    (1..=60).for_each(|term| hooks.notify(change(term)));
    let counters = finish(hooks);
    assert_eq!(counters.timed_out + counters.dropped, 60);
    assert!(counters.dropped > 0, "{counters:?}");
}

#[test]
fn whoever_reports_never_waits_and_what_does_not_fit_is_counted() {
    let hook = Hook::new("gate");
    let open = hook.fifo("open");
    let hooks = hook.start(AMPLE);
    let reported = QUEUE_LEN as u64 + 10;
    // The first run waits at its fifo meanwhile.
    (0..reported).for_each(|term| hooks.notify(change(term)));
    File::create(hook.path("opened")).unwrap();
    // Opened for both directions, so that neither end waits for the other.
    let mut fifo = OpenOptions::new().read(true).write(true).open(open).unwrap();
    fifo.write_all(b"go\n").unwrap();
    let counters = finish(hooks);
    assert!((9..=10).contains(&counters.dropped), "{counters:?}");
    assert_eq!(counters.succeeded + counters.dropped, reported);
}

#[test]
fn without_a_program_changes_are_accepted() {
    let hooks = Hooks::start(None, subject()).unwrap();
    hooks.notify(change(1));
    assert_eq!(finish(hooks), HookCounters::default());
}
