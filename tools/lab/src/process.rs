//! Real programs inside a namespace: started, watched, signalled, and gone when dropped.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::netns::Namespace;
use crate::wait;

/// Within which SIGSTOP has stopped every thread.
const STOPPED: Duration = Duration::from_secs(1);

/// How long a short-lived tool may take before something is plainly wrong.
const TOOL_TIMEOUT: Duration = Duration::from_secs(20);

/// A running program, its output kept in files. Dropping it kills it and its children.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a program that has ended left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Output {
    /// The output of a program that has to succeed.
    ///
    /// # Errors
    /// When it did not: with everything it wrote.
    pub fn success(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        bail!("{}\n{}{}", self.status, self.stdout, self.stderr)
    }
}

impl Process {
    /// Starts a program in `namespace`; its output goes to `NAME.out` and `NAME.err` in `files`.
    ///
    /// # Errors
    /// When the files or the process cannot be made.
    pub fn spawn<S: AsRef<OsStr> + Sync>(
        namespace: &Namespace,
        files: &Path,
        name: &str,
        program: &Path,
        args: &[S],
    ) -> Result<Process> {
        let stdout = files.join(format!("{name}.out"));
        let stderr = files.join(format!("{name}.err"));
        let open = |path: &Path| {
            // Appended: a node that is started again goes on with the same log.
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("open {}", path.display()))
        };
        let (out, err) = (open(&stdout)?, open(&stderr)?);
        let child = namespace.run(|| {
            Command::new(program)
                .args(args)
                .current_dir(files)
                .stdin(Stdio::null())
                .stdout(out)
                .stderr(err)
                .spawn()
                .with_context(|| format!("start {}", program.display()))
        })?;
        Ok(Process { name: name.to_owned(), child, stdout, stderr })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its first child: the worker of a warden.
    ///
    /// # Errors
    /// When it has none.
    pub fn worker(&self) -> Result<Pid> {
        let worker = children(self.pid()).into_iter().next();
        worker.with_context(|| format!("{} has no child process", self.name))
    }

    /// Sends a signal to the process itself.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Tells the process to stop: SIGTERM.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills its worker alone: SIGKILL.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_worker(&self) -> Result<()> {
        self.signal_worker(Signal::KILL)
    }

    /// Sends a signal to its worker. SIGSTOP has stopped all of its threads when this returns.
    ///
    /// # Errors
    /// When there is none, or it does not stop.
    pub fn signal_worker(&self, signal: Signal) -> Result<()> {
        let worker = self.worker()?;
        kill_process(worker, signal)
            .with_context(|| format!("{signal:?} to the worker of {}", self.name))?;
        if signal == Signal::STOP {
            wait::until("a stopped worker", STOPPED, || all_stopped(worker))?;
        }
        Ok(())
    }

    /// Kills the process and everything it started, at once, and reaps it.
    pub fn kill(&mut self) {
        let family = family(self.pid());
        // Stopped first: a parent must not see its child die, nor a child its parent.
        for (signal, members) in [(Signal::STOP, &family), (Signal::KILL, &family)] {
            for pid in members {
                // Gone already is as good.
                let _ = kill_process(*pid, signal);
            }
        }
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it goes on for longer than `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        let handle = pidfd_open(self.pid(), PidfdFlags::empty()).context("pidfd_open")?;
        let mut end = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
        let limit = Timespec::try_from(timeout).context("timeout")?;
        loop {
            match poll(&mut end, Some(&limit)) {
                Ok(0) => bail!("{} still runs after {timeout:?}", self.name),
                Ok(_) => return Ok(self.child.wait()?),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => bail!("wait for {}: {error}", self.name),
            }
        }
    }

    /// Waits until it has ended and takes its output.
    ///
    /// # Errors
    /// When it goes on for longer than `timeout`.
    pub fn output(mut self, timeout: Duration) -> Result<Output> {
        let status = self.wait(timeout)?;
        Ok(Output { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// What it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        read_text(&self.stdout)
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read_text(&self.stderr)
    }

    /// Waits until `text` has been written to either output.
    ///
    /// # Errors
    /// When it is not within `timeout`, or the process ends without it.
    pub fn wait_for_text(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let what = format!("`{text}` from {}", self.name);
        wait::until(&what, timeout, || {
            let ended = !self.is_running();
            let written = [self.stderr(), self.stdout()];
            if written.iter().any(|written| written.contains(text)) {
                return Ok(Ok(()));
            }
            match ended {
                true => Ok(Err(anyhow::anyhow!("{what}: it ended: {}", written.concat()))),
                false => Err(written.concat()),
            }
        })?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a tool to its end inside `namespace`.
///
/// # Errors
/// When it cannot be started or hangs.
pub(crate) fn run_tool<S: AsRef<OsStr> + Sync>(
    namespace: &Namespace,
    files: &Path,
    name: &str,
    program: &str,
    args: &[S],
) -> Result<Output> {
    Process::spawn(namespace, files, name, Path::new(program), args)?.output(TOOL_TIMEOUT)
}

/// The process and all its descendants, parents first.
pub fn family(root: Pid) -> Vec<Pid> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(parent: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", parent.as_raw_nonzero());
    let Ok(tasks) = fs::read_dir(tasks) else { return Vec::new() };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            let pids: Vec<Pid> = line
                .split_whitespace()
                .filter_map(|word| word.parse().ok().and_then(Pid::from_raw))
                .collect();
            pids
        })
        .collect()
}

/// Whether every thread of a process is stopped: one that runs on another processor goes on for a moment.
fn all_stopped(pid: Pid) -> Result<(), String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    for task in tasks.map_err(|error| error.to_string())?.flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if !stat.contains(") T ") {
            return Err(format!("a thread still runs: {stat}"));
        }
    }
    Ok(())
}

fn read_text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
