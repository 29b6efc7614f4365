//! The control thread: the process's main thread. It takes signals, link changes and what the node
//! reports; it writes the log and feeds the hooks, so that the hot threads never wait for either.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use locum_link::{Clock, LinkWatch, Poller, Tap};
use locum_monitor::Input;
use locum_types::{Instant, ResignReason};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::heartbeat_thread::HeartbeatThread;
use super::links::Links;
use super::report::{Reporter, lock};
use super::shared::{Inbox, Outbox, Outboxes, ToControl, ToHeartbeat, ToStack};
use super::spawn::{CONTROL_PRIORITY, Priorities, spawn};
use super::stack_thread::StackThread;
use super::{event_log, node_config};
use crate::config::{Config, Reload};
use crate::control::{ControlHandle, ControlServer};
use crate::exit::Exit;
use crate::hooks::{Hooks, Subject};
use crate::logging;

/// How long a shutdown may take before the process ends all the same.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);
/// How long a crash may take to say goodbye.
const CRASH_MAX: Duration = Duration::from_millis(100);

pub(super) struct ControlThread {
    /// As it is now; `locum status` reads it too.
    config: Arc<Mutex<Config>>,
    links: Arc<Links>,
    link_watch: LinkWatch,
    link_up: bool,
    inbox: Inbox<ToControl>,
    outboxes: Outboxes,
    hooks: Arc<Mutex<Hooks>>,
    priorities: Arc<Priorities>,
    /// Answers `locum status`; ends with this thread.
    _socket: ControlHandle,
    /// When the process ends, at the latest.
    end_by: Option<(Instant, Exit)>,
}

impl ControlThread {
    pub(super) fn new(
        config: Arc<Mutex<Config>>,
        links: Arc<Links>,
        inbox: Inbox<ToControl>,
        outboxes: Outboxes,
        reporter: Reporter,
        hooks: Arc<Mutex<Hooks>>,
        priorities: Arc<Priorities>,
    ) -> anyhow::Result<Self> {
        let server = ControlServer::bind(&lock(&config).socket)?;
        let socket = server.serve(reporter.into_handler())?;
        let indices: Vec<u32> = links.taps().into_iter().map(Tap::index).collect();
        let link_watch = LinkWatch::new(&indices).context("cannot watch the links")?;
        watch_signals(outboxes.control.clone())?;
        Ok(ControlThread {
            config,
            link_watch,
            link_up: true,
            links,
            inbox,
            outboxes,
            hooks,
            priorities,
            _socket: socket,
            end_by: None,
        })
    }

    /// Starts the hot threads and runs until the node has said goodbye.
    pub(super) fn run(
        mut self,
        heartbeat: HeartbeatThread,
        stack: StackThread,
    ) -> anyhow::Result<Exit> {
        let control = || self.outboxes.control.clone();
        let heartbeat = spawn("heartbeat", control(), move || heartbeat.run())?;
        let stack = spawn("stack", control(), move || stack.run())?;
        // It must get the CPU to die: until the main thread is gone the warden cannot know.
        self.priorities.raise(CONTROL_PRIORITY);
        self.report_links();
        let exit = loop {
            self.wait()?;
            if self.link_watch.drain() {
                self.report_links();
            }
            if let Some(exit) = self.receive_messages() {
                break exit;
            }
            if let Some((at, exit)) = self.end_by
                && Clock.now() >= at
            {
                log::error!("the node did not finish its goodbye in time");
                break exit;
            }
        };
        self.join(exit, heartbeat, stack);
        Ok(exit)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let fds = [self.inbox.waker.as_fd(), self.link_watch.as_fd()];
        Poller.wait(&fds, self.end_by.map(|(at, _)| at)).context("cannot wait")?;
        self.inbox.waker.drain();
        Ok(())
    }

    /// The exit code when it is time to end.
    fn receive_messages(&mut self) -> Option<Exit> {
        while let Ok(message) = self.inbox.receiver.try_recv() {
            match message {
                ToControl::Event(event) => {
                    if let Some(change) = event_log::log(&event) {
                        lock(&self.hooks).notify(change);
                    }
                }
                ToControl::Sighting(sighting) => log::warn!("{sighting}"),
                ToControl::Finished => {
                    return Some(self.end_by.map_or(Exit::Ok, |(_, exit)| exit));
                }
                ToControl::Panicked(name) => {
                    log::error!("the {name} thread panicked; this node resigns");
                    if name == "heartbeat" {
                        return Some(Exit::Failure);
                    }
                    self.shut_down(ResignReason::Crash, CRASH_MAX, Exit::Failure);
                }
                ToControl::Terminate => {
                    self.shut_down(ResignReason::Shutdown, SHUTDOWN_MAX, Exit::Ok);
                }
                ToControl::Reload => self.reload(),
            }
        }
        None
    }

    /// Asks the monitor to say goodbye, once.
    fn shut_down(&mut self, reason: ResignReason, limit: Duration, exit: Exit) {
        if self.end_by.is_none() {
            log::info!("shutting down: {}", reason.name());
            self.end_by = Some((Clock.now() + limit, exit));
            self.outboxes.heartbeat.send(ToHeartbeat::Input(Input::Shutdown(reason)));
        }
    }

    /// Reads the configuration again and applies what can change live.
    fn reload(&mut self) {
        let current = lock(&self.config).clone();
        let read = match Config::load(&current.file) {
            Ok(read) => read,
            Err(error) => {
                log::error!("the configuration was not changed:\n{error}");
                return;
            }
        };
        let Reload { config, taken, refused } = current.reload(&read);
        for key in &refused {
            log::warn!("`{key}` changes at the next start, not by a reload");
        }
        log::info!("configuration read again; changed: [{}]", taken.join(", "));
        logging::set_level(config.log);
        if taken.contains(&"hooks.on_change") {
            self.replace_hooks(&config);
        }
        let node = node_config(&config, self.links.service().mtu());
        self.outboxes.heartbeat.send(ToHeartbeat::Reconfigure(Box::new(node)));
        *lock(&self.config) = config;
    }

    fn replace_hooks(&self, config: &Config) {
        match start_hooks(config) {
            // Ending the old hook may take a while, and is nobody's business here.
            Ok(hooks) => {
                let old = std::mem::replace(&mut *lock(&self.hooks), hooks);
                std::thread::spawn(move || drop(old));
            }
            Err(error) => log::error!("the hook was not changed: {error}"),
        }
    }

    fn report_links(&mut self) {
        let up = self.links.taps().into_iter().all(Tap::link_up);
        if up != self.link_up {
            self.link_up = up;
            log::warn!("link {}", if up { "up" } else { "down" });
            self.outboxes.heartbeat.send(ToHeartbeat::Input(Input::Link { up }));
        }
    }

    fn join(self, exit: Exit, heartbeat: JoinHandle<()>, stack: JoinHandle<()>) {
        self.outboxes.stack.send(ToStack::Stop);
        // A thread that hangs must not keep a crashing node alive.
        if exit == Exit::Ok {
            for thread in [heartbeat, stack] {
                if thread.join().is_err() {
                    log::error!("a thread panicked at the end");
                }
            }
        }
    }
}

/// Turns signals into messages.
fn watch_signals(control: Outbox<ToControl>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("cannot take signals")?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            control.send(if signal == SIGHUP { ToControl::Reload } else { ToControl::Terminate });
        }
    })?;
    Ok(())
}

/// The hook of this node.
pub(super) fn start_hooks(config: &Config) -> std::io::Result<Hooks> {
    let subject = Subject { group: config.group.id, node: config.node.id };
    Hooks::start(config.on_change.as_deref(), subject)
}
